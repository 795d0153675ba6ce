"""The dashboards: well-formed, and no panel empty after a short load that a real Prometheus has
scraped.
"""

import contextlib
import json
import math
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics.embedded import free_port
from dashboards import build
from tests.deploy import shipped
from tests.deploy.conftest import KEY, events, send, watch
from tests.deploy.deployed import READER, Deployed
from tests.deploy.programs import ROOT, find, run
from tests.faults.platform import http_get
from tests.waiting import PATIENCE_SECONDS, wait_for

SCRAPE_SECONDS = 1
BY_NAME = {name: shipped.dashboard(name) for name in shipped.DASHBOARDS}
PANEL = {
    "id",
    "type",
    "title",
    "description",
    "datasource",
    "gridPos",
    "fieldConfig",
    "options",
    "targets",
}
NOTHING = " or vector(0)"
"""What a panel shows while there is nothing to show; a query is held to data of its own, but for
these, which count what this load does not meet.
"""
QUIET = ('status=~"5.."', "analytics_store_retries_total", "analytics_realtime_events_missed_total")
MACROS = {
    "$__timeFilter(timestamp)": (
        "timestamp BETWEEN now() - interval '1 day' AND now() + interval '1 day'"
    ),
    "$__timeFilter(date::timestamptz)": (
        "date::timestamptz BETWEEN now() - interval '2 days' AND now() + interval '1 day'"
    ),
    "$project": "default",
}


@pytest.mark.parametrize("name", shipped.DASHBOARDS)
def test_a_dashboard_is_what_its_table_says(name: str) -> None:
    assert shipped.read(f"dashboards/{name}.json") == build.text(name), "run dashboards/build.py"


@pytest.mark.parametrize("name", shipped.DASHBOARDS)
def test_a_dashboard_is_one_that_grafana_can_import(name: str) -> None:
    board = BY_NAME[name]
    assert board["uid"] == name
    assert board["title"]
    assert board["schemaVersion"] >= 39
    sources = {
        variable["name"]
        for variable in board["templating"]["list"]
        if variable["type"] == "datasource"
    }
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        assert set(panel) == PANEL, panel["title"]
        assert panel["title"]
        assert panel["description"].endswith((".", "?")), f"{panel['title']} says what it shows"
        assert panel["type"] in build.OPTIONS
        assert panel["datasource"]["uid"].strip("${}") in sources
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


@pytest.mark.parametrize("name", shipped.DASHBOARDS)
def test_no_panel_covers_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BY_NAME[name]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_provisioning_names_the_data_sources_and_the_folder() -> None:
    sources = {
        source["type"]: source
        for source in shipped.yaml_of("dashboards/provisioning/datasources/analytics.yml")[
            "datasources"
        ]
    }
    assert set(sources) == {"prometheus", "postgres"}
    assert sources["postgres"]["user"] == "analytics_reader"
    folder = shipped.yaml_of("dashboards/provisioning/dashboards/analytics.yml")["providers"][0][
        "options"
    ]["path"]
    assert f"./dashboards:{folder}:ro" in shipped.compose()["services"]["grafana"]["volumes"]


class Prometheus:
    """Debian's Prometheus with the shipped configuration, but for where the roles are and how often
    it looks.
    """

    def __init__(self, folder: Path, platform: Deployed) -> None:
        self.folder = folder
        self.platform = platform
        self.port = free_port()

    @contextlib.contextmanager
    def running(self) -> Iterator["Prometheus"]:
        config: dict[str, Any] = yaml.safe_load(shipped.read("prometheus/prometheus.yml"))
        config["global"] = dict.fromkeys(config["global"], f"{SCRAPE_SECONDS}s")
        config["rule_files"] = [str(ROOT / "prometheus" / name) for name in config["rule_files"]]
        for job in config["scrape_configs"]:
            if "dns_sd_configs" in job:
                del job["dns_sd_configs"]
                job["static_configs"] = [
                    {
                        "targets": [
                            f"127.0.0.1:{port}" for port in self.platform.ports(job["job_name"])
                        ]
                    }
                ]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = [
            find("prometheus"),
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
        ]
        with (self.folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log
            )
        try:
            wait_for(
                lambda: http_get(f"http://127.0.0.1:{self.port}/-/ready")[0] == 200,
                "a ready Prometheus",
            )
            yield self
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)

    def get(self, path: str, **parameters: str) -> Any:
        status, body = http_get(
            f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        )
        assert status == 200, body
        return json.loads(body)["data"]


@pytest.fixture(scope="module")
def prometheus(loaded: Deployed) -> Iterator[Prometheus]:
    with (
        tempfile.TemporaryDirectory(prefix="analytics-prometheus-") as name,
        Prometheus(Path(name), loaded).running() as running,
    ):
        with loaded.front.client(KEY) as client, watch(loaded.front):
            end = time.monotonic() + 15
            while time.monotonic() < end:  # rates need change between scrapes
                send(client, [*events(5), {"session_id": "s"}])
                # these are dropped
                client.post(
                    "/collect",
                    json=events(1),
                    headers={"Origin": "https://example.org", "Sec-GPC": "1"},
                )
                client.get("/api/events")
                client.get(
                    f"/api/trends?last=1h&interval=minute&limit={int(time.monotonic()) % 100 + 1}"
                )
                time.sleep(0.2)
        yield running


def test_every_role_is_scraped(prometheus: Prometheus) -> None:
    health = {
        (target["labels"]["job"], target["health"])
        for target in prometheus.get("targets")["activeTargets"]
        if target["labels"]["job"] != "node"
    }
    assert health == {(role, "up") for role in shipped.PORTS}


def test_every_rule_is_evaluated_and_no_alert_fires(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == set(shipped.recorded()) | set(shipped.alerts())
    assert not [rule for rule in rules if rule["health"] == "err"]
    firing = {
        alert["labels"]["alertname"]
        for alert in prometheus.get("alerts")["alerts"]
        if alert["state"] == "firing"
    }
    assert not firing


@pytest.mark.parametrize(
    ("where", "kind", "query"),
    [each for each in shipped.queries() if each[1] == "promql"],
    ids=lambda value: value if "metrics:" in str(value) else "…",
)
def test_every_panel_has_data(prometheus: Prometheus, where: str, kind: str, query: str) -> None:
    now = time.time()
    expanded = query.replace("$__rate_interval", "10s")
    if not any(name in query for name in QUIET):
        expanded = expanded.replace(NOTHING, "")
    result = prometheus.get(
        "query_range", query=expanded, start=str(now - 10), end=str(now), step="1"
    )["result"]
    assert result, f"{where}: {kind} {expanded}"
    values = [float(value) for series in result for _, value in series["values"]]
    assert not all(math.isnan(value) for value in values), f"{where}: nothing but NaN"


@pytest.mark.parametrize(
    ("where", "kind", "query"),
    [each for each in shipped.queries() if each[1] == "sql"],
    ids=lambda value: value if "metrics:" in str(value) else "…",
)
def test_every_panel_of_events_has_data_for_who_may_only_read(
    loaded: Deployed, where: str, kind: str, query: str
) -> None:
    for macro, sql in MACROS.items():
        query = query.replace(macro, sql)
    assert "$" not in query, f"{where}: a macro that this test does not know"
    output = run(
        loaded.postgres.program("psql"),
        "-XqAt",
        "-d",
        loaded.url_of("analytics_reader", READER),
        "-c",
        query,
    )
    assert output.strip(), f"{where}: {kind}"


def test_the_business_numbers_are_the_events_numbers(loaded: Deployed) -> None:
    board = {
        panel["title"]: panel["targets"][0].get("rawSql", "")
        for panel in BY_NAME["business-metrics"]["panels"]
    }

    def ask(title: str) -> str:
        query = board[title]
        for macro, sql in MACROS.items():
            query = query.replace(macro, sql)
        return loaded.sql(query)

    assert ask("Events") == loaded.sql("select count(*) from raw_events")
    with loaded.front.client(KEY) as client:
        answer = client.get(
            "/api/trends?measure=users&interval=day&last=2d", headers={"Cache-Control": "no-cache"}
        ).json()
    assert ask("People") == str(answer["data"]["series"][0]["total"])
    assert int(ask("People")) < int(
        loaded.sql("select count(distinct coalesce(user_id, session_id)) from raw_events")
    ), "one logged in"
