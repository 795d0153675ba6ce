"""The shipped files, as data."""

import json
import re
from functools import cache
from typing import Any

import yaml

from tests.deploy.programs import ROOT, docker_compose, kubectl, run

SECRETS = ("POSTGRES_PASSWORD", "OWNER_PASSWORD", "READER_PASSWORD", "API_KEYS", "GRAFANA_PASSWORD")
DASHBOARDS = ("collector-metrics", "processor-metrics", "api-metrics", "business-metrics")
PORTS = {"collector": 4001, "api": 4002, "realtime": 4003, "processor": 4004}


def read(path: str) -> str:
    return (ROOT / path).read_text()


def yaml_of(path: str) -> Any:
    return yaml.safe_load(read(path))


@cache
def compose() -> dict[str, Any]:
    """docker-compose.yml as YAML, without the substitutions."""
    loaded: dict[str, Any] = yaml_of("docker-compose.yml")
    return loaded


def compose_resolved(**secrets: str) -> Any:
    """docker-compose.yml as Docker Compose itself understands it."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **secrets}
    printed = run(
        docker_compose(),
        "--env-file",
        "/dev/null",
        "--profile",
        "monitoring",
        "config",
        "--format",
        "json",
        env=env,
    )
    return json.loads(printed.replace("$$", "$"))  # it prints what could be read again


@cache
def manifests(folder: str) -> tuple[dict[str, Any], ...]:
    """What kustomize makes of a folder below k8s/."""
    return tuple(yaml.safe_load_all(run(kubectl(), "kustomize", f"k8s/{folder}")))


def manifest(folder: str, kind: str, name: str) -> dict[str, Any]:
    documents = [
        each
        for each in manifests(folder)
        if each["kind"] == kind and each["metadata"]["name"] == name
    ]
    assert len(documents) == 1, f"{len(documents)} of {kind} {name} in k8s/{folder}"
    return documents[0]


def container(folder: str, kind: str, name: str) -> dict[str, Any]:
    containers: list[dict[str, Any]] = manifest(folder, kind, name)["spec"]["template"]["spec"][
        "containers"
    ]
    assert len(containers) == 1
    return containers[0]


def dashboard(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(read(f"dashboards/{name}.json"))
    return loaded


def queries() -> list[tuple[str, str, str]]:
    """Every query of every dashboard: (where, kind, text), the kind being promql or sql."""
    triples = []
    for name in DASHBOARDS:
        for panel in dashboard(name)["panels"]:
            for target in panel["targets"]:
                kind = "sql" if "rawSql" in target else "promql"
                triples.append(
                    (f"{name}: {panel['title']}", kind, target.get("rawSql") or target["expr"])
                )
    return triples


def alerts() -> dict[str, dict[str, Any]]:
    return {
        rule["alert"]: rule
        for group in yaml_of("prometheus/alerts.rules.yml")["groups"]
        for rule in group["rules"]
    }


def recorded() -> dict[str, str]:
    return {
        rule["record"]: rule["expr"]
        for group in yaml_of("prometheus/recording.rules.yml")["groups"]
        for rule in group["rules"]
    }


def metric_names(text: str) -> set[str]:
    """Our metrics in a PromQL text or an exposition, without the suffixes of histograms."""
    names = re.findall(r"\banalytics_[a-z0-9_]+", text)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
