"""One set of numbers and names in compose, Kubernetes, nginx, dashboards, alerts, the guide and the
code.
"""

import re
from typing import Any

import pytest

from analytics import metrics
from analytics.queries import QUESTIONS
from analytics.settings import NEEDS, SETTINGS, Settings, load
from tests.deploy import shipped
from tests.deploy.programs import ROOT
from tests.deploy.shipped import PORTS, compose, container, manifest, read

ROLES = tuple(PORTS)
REPLICAS = {"collector": 3, "processor": 2, "api": 2, "realtime": 2}
LIMITS = {
    "collector": ("512M", "0.5"),
    "processor": ("1G", "1"),
    "api": ("512M", "0.5"),
    "realtime": ("512M", "0.5"),
}
METRICS = {collector.name for collector in metrics.REGISTRY.get_all()}
OF_SOME_ROLES = {
    "PORT",
    "REDIS_URL",
    "DATABASE_URL",
    "DATABASE_REPLICA_URL",
    "API_KEYS",
    "CONCURRENCY",
    "BATCH_SIZE",
    "GEOIP_FILE",
}
FIXED = {
    "ENVIRONMENT",
    "HOST",
    "COLLECTOR_PORT",
    "API_PORT",
    "REALTIME_PORT",
    "PROCESSOR_PORT",
    "SHUTDOWN_DELAY",
    "DATA_DIR",
}
"""Settings that a container has no use for: it runs one role, in production, on PORT."""
GUIDE = ROOT.parent / "shared" / "deployment-guide.txt"


def environment(role: str) -> dict[str, Any]:
    variables: dict[str, Any] = compose()["services"][role]["environment"]
    return variables


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_one_port_everywhere(role: str) -> None:
    port = PORTS[role]
    assert getattr(Settings(), f"{role}_port") == port
    assert environment(role)["PORT"] == port
    made = container("base", "Deployment", f"analytics-{role}")
    assert [each["containerPort"] for each in made["ports"]] == [port]
    assert (
        made["readinessProbe"]["httpGet"]["port"]
        == made["livenessProbe"]["httpGet"]["port"]
        == port
    )
    assert {"name": "PORT", "value": str(port)} in made["env"]
    scraped = next(
        job
        for job in shipped.yaml_of("prometheus/prometheus.yml")["scrape_configs"]
        if job["job_name"] == role
    )
    assert scraped["dns_sd_configs"][0]["port"] == port
    assert str(port) in re.findall(r"^EXPOSE (.*)$", read("Dockerfile"), re.MULTILINE)[0].split()
    if role != "processor":
        assert f"server {role}:{port} " in read("nginx/upstreams.conf")
        assert re.search(
            rf"server analytics-{role}[a-z.]*:{port} ", read("k8s/base/nginx/upstreams.conf")
        )
        assert manifest("base", "Service", f"analytics-{role}")["spec"]["ports"][0]["port"] == port
    else:
        assert not [
            each
            for each in shipped.manifests("base")
            if each["kind"] == "Service" and "processor" in each["metadata"]["name"]
        ]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_the_guides_replicas_and_limits_everywhere(role: str) -> None:
    deploy = compose()["services"][role]["deploy"]
    assert deploy["replicas"] == REPLICAS[role]
    assert (
        deploy["resources"]["limits"]["memory"],
        deploy["resources"]["limits"]["cpus"],
    ) == LIMITS[role]
    assert manifest("base", "Deployment", f"analytics-{role}")["spec"]["replicas"] == REPLICAS[role]
    limits = container("base", "Deployment", f"analytics-{role}")["resources"]["limits"]
    assert limits == {
        "memory": LIMITS[role][0] + "i",
        "cpu": {"0.5": "500m", "1": "1"}[LIMITS[role][1]],
    }


def test_the_collector_scales_as_the_guide_says() -> None:
    spec = manifest("base", "HorizontalPodAutoscaler", "analytics-collector-hpa")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 10)
    assert spec["metrics"][0]["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 70},
    }
    made = container("base", "Deployment", "analytics-collector")
    assert made["resources"]["requests"] == {"memory": "256Mi", "cpu": "250m"}
    assert (
        made["readinessProbe"]["initialDelaySeconds"],
        made["readinessProbe"]["periodSeconds"],
    ) == (5, 10)
    assert (
        made["livenessProbe"]["initialDelaySeconds"],
        made["livenessProbe"]["periodSeconds"],
    ) == (15, 20)


def config_map() -> dict[str, str]:
    """What all pods of ours are given."""
    [document] = [
        each
        for each in shipped.manifests("base")
        if each["kind"] == "ConfigMap" and each["metadata"]["name"].startswith("analytics-settings")
    ]
    data: dict[str, str] = document["data"]
    return data


def test_every_variable_is_a_setting_of_ours() -> None:
    known = {setting.name for setting in SETTINGS} | {"NODE_ENV"}
    for role in ROLES:
        assert not set(environment(role)) - known
        assert not _names(role) - known
    assert not set(config_map()) - known


def test_every_setting_can_be_set_and_is_what_it_is_by_default() -> None:
    defaults = {
        setting.name: setting.default or ""
        for setting in SETTINGS
        if setting.name not in OF_SOME_ROLES | FIXED
    }
    shared = config_map()
    assert shared == {
        **defaults,
        "NODE_ENV": "production",
        "TRUSTED_PROXIES": shared["TRUSTED_PROXIES"],
    }
    resolved = shipped.compose_resolved(**dict.fromkeys(shipped.SECRETS, "secret"))["services"]
    for name in (*ROLES, "migrate"):
        assert {
            key: value
            for key, value in resolved[name]["environment"].items()
            if key not in OF_SOME_ROLES
        } == shared
    assert {name for role in ROLES for name in environment(role)} == {*shared, *OF_SOME_ROLES}
    assert load(shared) == load(
        {"NODE_ENV": "production", "TRUSTED_PROXIES": shared["TRUSTED_PROXIES"]}
    )


def test_the_example_names_all_that_compose_lets_one_change() -> None:
    changeable = {
        name: value.replace("$$", "$")
        for name, value in re.findall(r"\$\{([A-Z_]+):-(.*?)\}", read("docker-compose.yml"))
    }
    named = dict(re.findall(r"^#?([A-Z_]+)='?(.*?)'?$", read(".env.example"), re.MULTILINE))
    assert named == {**dict.fromkeys(shipped.SECRETS, ""), **changeable, "GEOIP_FILE": ""}


def test_a_file_of_countries_is_put_where_the_collector_looks_for_it() -> None:
    given = shipped.compose_resolved(
        **dict.fromkeys(shipped.SECRETS, "secret"), GEOIP_FILE="./README.md"
    )["services"]["collector"]
    [mounted] = given["volumes"]
    assert (mounted["source"], mounted["target"], mounted["read_only"]) == (
        str(ROOT / "README.md"),
        given["environment"]["GEOIP_FILE"],
        True,
    )


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_given_all_that_it_needs_and_no_store_that_it_does_not(role: str) -> None:
    for given in (set(environment(role)), _names(role)):
        assert set(NEEDS[role]) <= given
        assert ("DATABASE_URL" in given) == ("DATABASE_URL" in NEEDS[role])
    assert environment(role)["NODE_ENV"] == "production"


def test_the_api_and_nobody_else_may_be_given_a_replica() -> None:
    for given in (
        {role: set(environment(role)) for role in ROLES},
        {role: _names(role) for role in ROLES},
    ):
        assert [role for role in ROLES if "DATABASE_REPLICA_URL" in given[role]] == ["api"]
    assert load(dict.fromkeys(environment("api"), "")).database_replica_url is None, (
        "compose gives an empty one where there is none"
    )
    [replica] = [
        entry
        for entry in container("base", "Deployment", "analytics-api")["env"]
        if entry["name"] == "DATABASE_REPLICA_URL"
    ]
    assert replica["valueFrom"]["secretKeyRef"]["optional"] is True


def _names(role: str) -> set[str]:
    return {entry["name"] for entry in container("base", "Deployment", f"analytics-{role}")["env"]}


def test_the_processors_concurrency_is_the_guides() -> None:
    assert environment("processor")["CONCURRENCY"] == 10
    assert {"name": "CONCURRENCY", "value": "10"} in container(
        "base", "Deployment", "analytics-processor"
    )["env"]


def test_the_processors_batch_size_is_the_guides() -> None:
    size = {setting.name: setting.default for setting in SETTINGS}["BATCH_SIZE"]
    assert environment("processor")["BATCH_SIZE"] == f"${{BATCH_SIZE:-{size}}}"
    assert {"name": "BATCH_SIZE", "value": size} in container(
        "base", "Deployment", "analytics-processor"
    )["env"]


@pytest.mark.parametrize(
    ("where", "kind", "query"),
    shipped.queries(),
    ids=lambda value: value if len(str(value)) < 60 else "…",
)
def test_every_metric_that_a_dashboard_asks_for_exists(where: str, kind: str, query: str) -> None:
    if kind == "promql":
        assert shipped.metric_names(query) <= METRICS, where
        assert set(re.findall(r"\banalytics:[a-z0-9_:]+", query)) <= set(shipped.recorded()), where


def test_every_metric_that_a_rule_asks_for_exists() -> None:
    texts = [*shipped.recorded().values(), *(alert["expr"] for alert in shipped.alerts().values())]
    for text in texts:
        assert shipped.metric_names(text) <= METRICS
        assert set(re.findall(r"\banalytics:[a-z0-9_:]+", text)) <= set(shipped.recorded())


def test_every_metric_is_on_a_dashboard() -> None:
    shown = set().union(*(shipped.metric_names(query) for _, _, query in shipped.queries()))
    assert shown == METRICS


SHARED = {each.name for each in metrics.REGISTRY.get_all() if each.doc.endswith(metrics.SAME)}


def test_what_every_process_shows_whole_is_never_added_up() -> None:
    """Neither shown nor alerted on; and the docs say which metrics these are."""
    assert {"analytics_queue_depth", "analytics_books_events"} <= SHARED
    asked = [query for _, kind, query in shipped.queries() if kind == "promql"]
    asked += [alert["expr"] for alert in shipped.alerts().values()]
    asked += shipped.recorded().values()
    for query in asked:
        # accounts of one scrape may be added up
        query = query.replace("sum without (account) (analytics_books_events{", "(")
        if shipped.metric_names(query) & SHARED:
            assert not re.search(r"\b(?:sum|avg|count)\b", query), query
    marked = re.findall(rf"^\| `(\w+)` .*{metrics.SAME} \|$", read("docs/configuration.md"), re.M)
    assert set(marked) == SHARED


def test_every_alert_fires_in_a_test_and_has_a_runbook_entry() -> None:
    tests = shipped.yaml_of("tests/deploy/alerts.test.yml")["tests"]
    fired = {
        check["alertname"]
        for test in tests
        for check in test["alert_rule_test"]
        if check.get("exp_alerts")
    }
    silent = {check["alertname"] for check in tests[0]["alert_rule_test"]}
    entries = set(re.findall(r"^## ([A-Z]\w+)$", read("docs/operations/runbook.md"), re.MULTILINE))
    assert fired == silent == entries == set(shipped.alerts())


def test_the_body_limit_is_one_everywhere() -> None:
    from analytics.roles.collector.inflate import MAX_COMPRESSED_BYTES

    assert MAX_COMPRESSED_BYTES == 1_048_576
    assert "client_max_body_size 1m;" in read("nginx/nginx.conf")
    assert (
        manifest("production", "Ingress", "analytics")["metadata"]["annotations"][
            "nginx.ingress.kubernetes.io/proxy-body-size"
        ]
        == "1m"
    )


def test_nginx_gives_a_connection_up_before_a_role_does() -> None:
    from hypercorn.config import Config

    for path in ("nginx/upstreams.conf", "k8s/base/nginx/upstreams.conf"):
        kept = [int(seconds) for seconds in re.findall(r"keepalive_timeout (\d+)s", read(path))]
        assert kept
        assert max(kept) < Config().keep_alive_timeout


def test_nginx_caches_the_questions_whose_answers_the_api_caches() -> None:
    """Neither caches answers that hold events or people, nor `/live`, which changes at once."""
    cached = re.search(r"\^/api/\(\?<question>([a-z|]+)\)", read("nginx/locations.conf"))
    assert cached
    names = set(cached[1].split("|"))
    assert names == {
        question.path.removeprefix("/") for question in QUESTIONS if question.cacheable
    }
    assert names == {
        "trends",
        "breakdown",
        "funnel",
        "retention",
        "paths",
        "sessions",
        "lifecycle",
        "stickiness",
        "schema",
    }


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide lies beside the repository, not in it")
class TestGuide:
    text = GUIDE.read_text() if GUIDE.exists() else ""

    def test_its_ports_are_ours(self) -> None:
        for role in ("collector", "api", "realtime"):
            assert f"| {role.title() if role != 'api' else 'API'} | {PORTS[role]} |" in self.text

    def test_its_replicas_are_ours(self) -> None:
        for role, replicas in REPLICAS.items():
            service = re.search(
                rf" {role}: image: analytics/{role}:latest .*?replicas: (\d)", self.text
            )
            assert service
            assert int(service[1]) == replicas

    def test_its_metrics_are_ours(self) -> None:
        assert (
            shipped.metric_names(self.text.partition("### Metrics")[2].partition("### Grafana")[0])
            <= METRICS
        )

    def test_its_dashboards_are_here(self) -> None:
        assert set(re.findall(r"`([a-z]+-metrics)\.json`", self.text)) == {
            path.stem for path in (ROOT / "dashboards").glob("*.json")
        }

    def test_its_variables_are_settings_with_its_defaults(self) -> None:
        ours = {setting.name: setting.default for setting in SETTINGS} | {
            "NODE_ENV": None,
            "COLLECTOR_PORT": "4001",
        }
        for name, default in re.findall(r"\| `([A-Z_]+)` \| (?:Yes|No) \| (\S+) \|", self.text):
            assert name in ours
            if default != "-" and name != "PORT":
                assert ours[name] == default, name
