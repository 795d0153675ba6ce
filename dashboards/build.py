"""The dashboards as a table of panels; `python dashboards/build.py` writes the JSON that Grafana
imports.

A panel is a line here and forty in the JSON. The four dashboards look alike, because only this file
decides how they look.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
EVENTS = {"type": "postgres", "uid": "${events}"}

GREEN, YELLOW, RED = "green", "#EAB839", "red"


class Panel(NamedTuple):
    """One panel: `queries` are pairs (legend, PromQL or SQL); `steps` are the values at which green
    turns yellow and red.
    """

    title: str
    help: str
    queries: Sequence[tuple[str, str]]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    steps: tuple[float, ...] = ()
    stack: bool = False
    sql: bool = False


def stat(
    title: str,
    help_: str,
    query: str,
    unit: str = "short",
    steps: tuple[float, ...] = (),
    *,
    sql: bool = False,
) -> Panel:
    return Panel(title, help_, [("", query)], "stat", unit, 4, steps, sql=sql)


RATE = "[$__rate_interval]"
QUEUE = [
    stat(
        "Waiting events",
        "In the queue now. The target is fewer than 1,000.",
        "max(analytics_queue_depth)",
        steps=(1000, 100_000),
    ),
    stat(
        "Oldest job",
        "Age of the oldest job in the queue.",
        "max(analytics_queue_oldest_seconds)",
        "s",
        (60, 300),
    ),
]


def quantiles(metric: str, by: str = "") -> list[tuple[str, str]]:
    labels, legend = (f"le, {by}", f" {{{{{by}}}}}") if by else ("le", "")
    return [
        (
            f"p{q}{legend}",
            f"histogram_quantile(0.{q}, sum by ({labels}) (rate({metric}_bucket{RATE})))",
        )
        for q in (50, 95, 99)
    ]


COLLECTOR = [
    stat("Events in", "Events a second that became durable in the queue.", f"sum(rate(analytics_events_queued_total{RATE}))", "eps"),
    stat("Requests", "Requests a second to the collectors.", f"sum(rate(analytics_collect_requests_total{RATE}))", "reqps"),
    stat("p99 of /collect", "The target is 100 ms.", quantiles("analytics_collect_latency_seconds")[2][1], "s", (0.05, 0.1)),
    stat("Failing", "Share of requests answered 5xx.",
         f'(sum(rate(analytics_collect_requests_total{{status=~"5.."}}{RATE})) or vector(0)) / sum(rate(analytics_collect_requests_total{RATE}))',
         "percentunit", (0.001, 0.01)),
    stat("Taking events", "0 while a collector refuses because the queue is full.", "min(analytics_queue_admitting)"),
    stat("Collectors", "How many answer Prometheus.", 'sum(up{job="collector"})'),
    Panel("Events by type", "Valid events, as they come in. Types beyond the first hundred are `other`.",
          [("{{type}}", f"sum by (type) (rate(analytics_events_received_total{RATE}))")], unit="eps", stack=True),
    Panel("Latency", "From the request to the answer, which waits until the events are durable in the queue.", quantiles("analytics_collect_latency_seconds"), unit="s"),
    Panel("Answers", "Requests by protocol and status.",
          [("{{protocol}} {{status}}", f"sum by (protocol, status) (rate(analytics_collect_requests_total{RATE}))")], unit="reqps", stack=True),
    Panel("Refused and dropped events", "Refused: bad input, by its code. Dropped: by a pipeline step, by its reason.",
          [("refused {{code}}", f"sum by (code) (rate(analytics_events_rejected_total{RATE})) or vector(0)"),
           ("dropped {{reason}}", f"sum by (reason) (rate(analytics_events_dropped_total{RATE})) or vector(0)")], unit="eps"),
    Panel("Events a flush", "Group commit: how many events share one append to the queue.",
          [(f"p{q}", f"histogram_quantile(0.{q}, sum by (le) (rate(analytics_batch_size_histogram_bucket{RATE})))") for q in (50, 95)]),
    Panel("Events by collector", "Look at a collector that takes fewer events than the others.",
          [("{{instance}}", f"sum by (instance) (rate(analytics_events_queued_total{RATE}))")], unit="eps", stack=True),
]  # fmt: skip

PROCESSOR = [
    *QUEUE,
    stat("Stored", "New rows a second.", f'sum(rate(analytics_events_processed_total{{outcome="stored"}}{RATE}))', "eps"),
    stat("Dead letters", "Events that could not be stored, in total. `analytics dead-letters list` names them.",
         'max(analytics_books_events{account="dead_lettered"}) or vector(0)', steps=(1, 1000)),
    stat("Books are off by", "accepted − stored − duplicate − dead-lettered − queued: anything but 0 is a fault of ours.",
         "max(abs(analytics:books_difference))", steps=(1, 1)),
    stat("Processors", "How many answer Prometheus.", 'sum(up{job="processor"})'),
    Panel("In and out", "What the collectors append and what the processors settle; the queue grows by the difference.",
          [("in", f"sum(rate(analytics_events_queued_total{RATE}))"),
           ("{{outcome}}", f"sum by (outcome) (rate(analytics_events_processed_total{RATE}))")], unit="eps"),
    Panel("Queue", "Events and jobs that wait.", [("events", "max(analytics_queue_depth)"), ("jobs", "max(analytics_queue_jobs)")]),
    Panel("Transaction time", "One storing transaction.", quantiles("analytics_processing_duration_seconds"), unit="s"),
    Panel("Events a transaction", "Small under light load; near BATCH_SIZE and above under heavy load.",
          [(f"p{q}", f"histogram_quantile(0.{q}, sum by (le) (rate(analytics_transaction_size_events_bucket{RATE})))") for q in (50, 95)]),
    Panel("Tried again", "Transactions that did not commit, by class of SQLSTATE. 42: the tables are not what we expect.",
          [("{{class}}", f"sum by (class) (rate(analytics_store_retries_total{RATE})) or vector(0)")], unit="ops"),
    Panel("The books", "accepted = stored + duplicate + dead-lettered + queued, at any moment.",
          [("{{account}}", "max by (account) (analytics_books_events)")]),
    Panel("Oldest job over time", "Age of the oldest job in the queue. Answers are complete up to when it was queued.",
          [("oldest", "max(analytics_queue_oldest_seconds)")], unit="s"),
    Panel("Partitions ahead", "How far into the future partitions exist. TimescaleDB creates its own and shows none.",
          [("ahead", "(max(analytics_partitions_end_timestamp_seconds) - time()) or vector(0)")], unit="s"),
]  # fmt: skip

API = [
    stat("Questions", "Questions a second to the api.", f"sum(rate(analytics_api_requests_total{RATE}))", "reqps"),
    stat("p95", "Over all questions. The target is 500 ms.", quantiles("analytics_api_latency_seconds")[1][1], "s", (0.25, 0.5)),
    stat("Failing", "Share of questions answered 5xx.",
         f'(sum(rate(analytics_api_requests_total{{status=~"5.."}}{RATE})) or vector(0)) / sum(rate(analytics_api_requests_total{RATE}))',
         "percentunit", (0.001, 0.01)),
    stat("Apis", "How many answer Prometheus.", 'sum(up{job="api"})'),
    stat("Live connections", "WebSockets and event streams that are open now.", "sum(analytics_realtime_connections) or vector(0)"),
    stat("Realtimes", "How many answer Prometheus.", 'sum(up{job="realtime"})'),
    Panel("Questions by endpoint", "How often each is asked.",
          [("{{endpoint}}", f"sum by (endpoint) (rate(analytics_api_requests_total{RATE}))")], unit="reqps", stack=True),
    Panel("p95 by endpoint", "95th percentile of the latency of each question.",
          [("{{endpoint}}", quantiles("analytics_api_latency_seconds", "endpoint")[1][1])], unit="s"),
    Panel("Cached answers", "hit: given from the cache. miss: computed.",
          [("{{cache}}", f"sum by (cache) (rate(analytics_answers_total{RATE}))")], unit="reqps", stack=True),
    Panel("Latency", "Over all questions.", quantiles("analytics_api_latency_seconds"), unit="s"),
    Panel("Answers", "Answers by status. 4xx: the fault of the caller. 5xx: ours.",
          [("{{status}}", f"sum by (status) (rate(analytics_api_requests_total{RATE}))")], unit="reqps", stack=True),
    Panel("Live messages", "Messages sent to realtime clients, by type.",
          [("{{type}}", f"sum by (type) (rate(analytics_realtime_messages_sent_total{RATE})) or vector(0)")], unit="ops", stack=True),
    Panel("Missed by live clients", "Events not shown to a client: it read too slowly, or the live bus was lost. The client is told.",
          [("missed", f"sum(rate(analytics_realtime_events_missed_total{RATE})) or vector(0)")], unit="eps"),
]  # fmt: skip

SEEN = """raw_events AS e LEFT JOIN identity_links AS known ON known.project = e.project AND known.actor = coalesce(user_id, session_id) COLLATE "C\""""
WHERE = "e.project = '$project' AND $__timeFilter(timestamp)"
PERSON = "coalesce(person, user_id, session_id)"
NONE = ord("$")
"""The first character of a session_id that stands for no session, as a number: in Grafana the
character starts a variable.
"""
SESSIONS = (
    f"SELECT (SELECT count(DISTINCT session_id) FROM {SEEN} WHERE {WHERE} AND ascii(session_id) <> {NONE})"  # noqa: S608
    f" + (SELECT count(*) FROM (SELECT timestamp - lag(timestamp) OVER (PARTITION BY {PERSON} ORDER BY timestamp) AS silence"
    f" FROM {SEEN} WHERE {WHERE} AND ascii(session_id) = {NONE}) AS untold WHERE silence IS NULL OR silence > interval '30 minutes') AS sessions"
)
DAYS = "metric_name = 'events' AND dimension_key = '' AND dimension_value = '' AND project = '$project' AND $__timeFilter(date::timestamptz)"

BUSINESS = [
    stat("Events", "Events in the range shown, in whole UTC days.", f"SELECT sum(value) AS events FROM daily_metrics WHERE {DAYS}", sql=True),  # noqa: S608
    stat("People", "Distinct people. A visitor who logs in is one person, before and after.", f"SELECT count(DISTINCT {PERSON}) AS people FROM {SEEN} WHERE {WHERE}", sql=True),  # noqa: S608
    stat("Sessions", "Explicit sessions. Where the sender gave none, a gap of 30 minutes ends a session.", SESSIONS, sql=True),
    stat("Events a person", "Average number of events of a person.", f"SELECT count(*)::float / nullif(count(DISTINCT {PERSON}), 0) AS each FROM {SEEN} WHERE {WHERE}", sql=True),  # noqa: S608
    stat("Known people", "Share of people with at least one event with a user_id.",
         f"SELECT count(DISTINCT {PERSON}) FILTER (WHERE user_id IS NOT NULL)::float / nullif(count(DISTINCT {PERSON}), 0) AS known FROM {SEEN} WHERE {WHERE}",  # noqa: S608
         "percentunit", sql=True),
    stat("Right now", "Events a second, all projects.", f"sum(rate(analytics_events_queued_total{RATE}))", "eps"),
    Panel("Events a day", "Precomputed counts of UTC days.",
          [("", f"SELECT date::timestamptz AS time, value AS events FROM daily_metrics WHERE {DAYS} ORDER BY 1")], "bars", sql=True),  # noqa: S608
    Panel("People a day", "Distinct people of each UTC day.",
          [("", f"SELECT date_trunc('day', timestamp, 'UTC') AS time, count(DISTINCT {PERSON}) AS people"  # noqa: S608
                f" FROM {SEEN} WHERE {WHERE} GROUP BY 1 ORDER BY 1")], "bars", sql=True),
    Panel("What people do", "Events and people by type and action.",
          [("", f"SELECT event_type AS type, event_action AS action, count(*) AS events, count(DISTINCT {PERSON}) AS people"  # noqa: S608
                f" FROM {SEEN} WHERE {WHERE} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20")], "table", sql=True),
    Panel("Top pages", "Events and people by metadata.page.",
          [("", f"SELECT metadata ->> 'page' AS page, count(*) AS events, count(DISTINCT {PERSON}) AS people"  # noqa: S608
                f" FROM {SEEN} WHERE {WHERE} AND metadata ? 'page' GROUP BY 1 ORDER BY 2 DESC LIMIT 20")], "table", sql=True),
    Panel("Events by type", "As they come in, all projects.",
          [("{{type}}", f"sum by (type) (rate(analytics_events_received_total{RATE}))")], unit="eps", stack=True, width=24),
]  # fmt: skip

DASHBOARDS = {
    "collector-metrics": (
        "Analytics / Collector",
        "now-3h",
        "Ingestion: how much comes in, how fast it is acknowledged, what is refused.",
        COLLECTOR,
    ),
    "processor-metrics": (
        "Analytics / Processor",
        "now-3h",
        "Processing: the queue, the transactions, the books.",
        PROCESSOR,
    ),
    "api-metrics": (
        "Analytics / Api and realtime",
        "now-3h",
        "Answers: latency and errors of questions, live connections.",
        API,
    ),
    "business-metrics": (
        "Analytics / Business",
        "now-7d",
        "What people do, from the events themselves.",
        BUSINESS,
    ),
}


def panel(number: int, made: Panel, x: int, y: int) -> dict[str, Any]:
    source = EVENTS if made.sql else PROMETHEUS
    kind = {"bars": "timeseries"}.get(made.kind, made.kind)
    defaults: dict[str, Any] = {"unit": made.unit, "min": 0, "color": {"mode": "palette-classic"}}
    if made.kind in ("timeseries", "bars"):
        bars = made.kind == "bars"
        defaults["custom"] = {
            "drawStyle": "bars" if bars else "line",
            "fillOpacity": 70 if bars else 25 if made.stack else 10,
            "lineWidth": 1,
            "showPoints": "never",
            "stacking": {"mode": "normal" if made.stack else "none"},
        }
    if made.kind == "stat":
        colours = zip((GREEN, YELLOW, RED), (None, *made.steps), strict=False)
        defaults |= {
            "color": {"mode": "thresholds"},
            "thresholds": {
                "mode": "absolute",
                "steps": [{"color": c, "value": v} for c, v in colours],
            },
        }
    return {
        "id": number,
        "type": kind,
        "title": made.title,
        "description": made.help,
        "datasource": source,
        "gridPos": {"x": x, "y": y, "w": made.width, "h": 4 if made.kind == "stat" else 8},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": OPTIONS[kind],
        "targets": [
            target(letter, source, made, *query)
            for letter, query in zip("ABCDE", made.queries, strict=False)
        ],
    }


OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"]},
    },
    "timeseries": {
        "legend": {"displayMode": "table", "placement": "right", "calcs": ["mean", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
}


def target(
    letter: str, source: dict[str, str], made: Panel, legend: str, query: str
) -> dict[str, Any]:
    if made.sql:
        shape = "time_series" if made.kind == "bars" else "table"
        return {
            "refId": letter,
            "datasource": source,
            "editorMode": "code",
            "format": shape,
            "rawQuery": True,
            "rawSql": query,
        }
    return {
        "refId": letter,
        "datasource": source,
        "editorMode": "code",
        "expr": query,
        "legendFormat": legend,
        "range": True,
    }


def place(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """Left to right; a panel that does not fit goes to the next line."""
    placed: list[dict[str, Any]] = []
    x = y = height = 0
    for number, made in enumerate(panels, 1):
        if x + made.width > 24:
            x, y = 0, y + height
        placed.append(panel(number, made, x, y))
        x, height = x + made.width, placed[-1]["gridPos"]["h"]
    return placed


def variables(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """The data sources, chosen on import; and the project, where panels query events themselves."""
    listed: list[dict[str, Any]] = [
        {"name": "prometheus", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    ]
    if any(made.sql for made in panels):
        query = "SELECT DISTINCT project FROM daily_metrics ORDER BY 1"
        listed += [
            {"name": "events", "label": "Events", "type": "datasource", "query": "postgres"},
            {
                "name": "project",
                "label": "Project",
                "type": "query",
                "datasource": EVENTS,
                "query": query,
                "refresh": 2,
                "sort": 1,
            },
        ]
    return listed


def dashboard(name: str) -> dict[str, Any]:
    title, since, help_, panels = DASHBOARDS[name]
    return {
        "uid": name,
        "title": title,
        "description": help_,
        "tags": ["analytics"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": since, "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "title": "Analytics",
                "type": "dashboards",
                "tags": ["analytics"],
                "asDropdown": False,
                "keepTime": True,
            }
        ],
        "templating": {"list": variables(panels)},
        "panels": place(panels),
    }


def text(name: str) -> str:
    """The file as it is written."""
    return json.dumps(dashboard(name), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (HERE / f"{each}.json").write_text(text(each))
