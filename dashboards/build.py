"""The dashboards as a table of panels. `.venv/bin/python dashboards/build.py` writes the JSON.

A panel is a few lines here and forty in the JSON. The four dashboards look alike, because only
this file decides how they look.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
EVENTS = {"type": "postgres", "uid": "${events}"}

GREEN, YELLOW, RED = "green", "#EAB839", "red"
COLUMNS = 24
"""The width of Grafana's grid."""


class Panel(NamedTuple):
    """One panel."""

    title: str
    help: str
    queries: Sequence[tuple[str, str]]
    """The legend of each query, and its PromQL or SQL."""
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    steps: tuple[float, ...] = ()
    """The values at which green turns yellow, and yellow turns red."""
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
    """One big number."""
    return Panel(title, help_, [("", query)], "stat", unit, 4, steps, sql=sql)


def chart(title: str, help_: str, unit: str, *queries: tuple[str, str], width: int = 12) -> Panel:
    """Lines over time, stacked."""
    return Panel(title, help_, queries, unit=unit, stack=True, width=width)


RATE = "[$__rate_interval]"


def rate(metric: str, by: str = "") -> str:
    """PromQL: how much a counter grows in a second, in all or by labels."""
    return f"sum by ({by}) (rate({metric}{RATE}))" if by else f"sum(rate({metric}{RATE}))"


def failing(metric: str) -> str:
    """PromQL: the share of requests that were answered 5xx."""
    errors = f'{metric}{{status=~"5.."}}'
    return f"({rate(errors)} or vector(0)) / {rate(metric)}"


def quantiles(
    metric: str, percents: Sequence[int] = (50, 95, 99), by: str = ""
) -> list[tuple[str, str]]:
    """Legend and PromQL of percentiles of a histogram, in all or by one label."""
    labels, legend = (f"le, {by}", f" {{{{{by}}}}}") if by else ("le", "")
    buckets = f"sum by ({labels}) (rate({metric}_bucket{RATE}))"
    return [
        (f"p{percent}{legend}", f"histogram_quantile(0.{percent}, {buckets})")
        for percent in percents
    ]


def up(title: str, job: str) -> Panel:
    """How many processes of a role run."""
    return stat(title, "How many answer Prometheus.", f'sum(up{{job="{job}"}})')


COLLECT_REQUESTS = "analytics_collect_requests_total"
COLLECT_LATENCY = "analytics_collect_latency_seconds"
EVENTS_QUEUED = "analytics_events_queued_total"
EVENTS_RECEIVED = "analytics_events_received_total"
EVENTS_PROCESSED = "analytics_events_processed_total"

COLLECTOR = [
    stat(
        "Events in", "Events a second that became durable in the queue.", rate(EVENTS_QUEUED), "eps"
    ),
    stat("Requests", "Requests a second to the collectors.", rate(COLLECT_REQUESTS), "reqps"),
    stat(
        "p99 of /collect",
        "The target is 100 ms.",
        quantiles(COLLECT_LATENCY)[2][1],
        "s",
        (0.05, 0.1),
    ),
    stat(
        "Failing",
        "Share of requests answered 5xx.",
        failing(COLLECT_REQUESTS),
        "percentunit",
        (0.001, 0.01),
    ),
    stat(
        "Taking events",
        "0 while a collector refuses because the queue is full.",
        "min(analytics_queue_admitting)",
    ),
    up("Collectors", "collector"),
    chart(
        "Events by type",
        "Valid events, as they come in. Types beyond the first hundred are `other`.",
        "eps",
        ("{{type}}", rate(EVENTS_RECEIVED, "type")),
    ),
    Panel(
        "Latency",
        "From the request to the answer, which waits until the events are durable in the queue.",
        quantiles(COLLECT_LATENCY),
        unit="s",
    ),
    chart(
        "Answers",
        "Requests by protocol and status.",
        "reqps",
        ("{{protocol}} {{status}}", rate(COLLECT_REQUESTS, "protocol, status")),
    ),
    Panel(
        "Refused and dropped events",
        "Refused: bad input, by its code. Dropped: by a pipeline step, by its reason.",
        [
            (
                "refused {{code}}",
                f"{rate('analytics_events_rejected_total', 'code')} or vector(0)",
            ),
            (
                "dropped {{reason}}",
                f"{rate('analytics_events_dropped_total', 'reason')} or vector(0)",
            ),
        ],
        unit="eps",
    ),
    Panel(
        "Events a flush",
        "Group commit: how many events share one append to the queue.",
        quantiles("analytics_batch_size_histogram", (50, 95)),
    ),
    chart(
        "Events by collector",
        "Look at a collector that takes fewer events than the others.",
        "eps",
        ("{{instance}}", rate(EVENTS_QUEUED, "instance")),
    ),
]

PROCESSOR = [
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
    stat("Stored", "New rows a second.", rate(f'{EVENTS_PROCESSED}{{outcome="stored"}}'), "eps"),
    stat(
        "Dead letters",
        "Events that could not be stored, in total. `analytics dead-letters list` names them.",
        'max(analytics_books_events{account="dead_lettered"}) or vector(0)',
        steps=(1, 1000),
    ),
    stat(
        "Books are off by",
        "accepted − stored − duplicate − dead-lettered − queued: "
        "anything but 0 is a fault of ours.",
        "max(abs(analytics:books_difference))",
        steps=(1, 1),
    ),
    up("Processors", "processor"),
    Panel(
        "In and out",
        "What the collectors append and what the processors settle; "
        "the queue grows by the difference.",
        [("in", rate(EVENTS_QUEUED)), ("{{outcome}}", rate(EVENTS_PROCESSED, "outcome"))],
        unit="eps",
    ),
    Panel(
        "Queue",
        "Events and jobs that wait.",
        [("events", "max(analytics_queue_depth)"), ("jobs", "max(analytics_queue_jobs)")],
    ),
    Panel(
        "Transaction time",
        "One storing transaction.",
        quantiles("analytics_processing_duration_seconds"),
        unit="s",
    ),
    Panel(
        "Events a transaction",
        "Small under light load; near BATCH_SIZE and above under heavy load.",
        quantiles("analytics_transaction_size_events", (50, 95)),
    ),
    Panel(
        "Tried again",
        "Transactions that did not commit, by class of SQLSTATE. "
        "42: the tables are not what we expect.",
        [("{{class}}", f"{rate('analytics_store_retries_total', 'class')} or vector(0)")],
        unit="ops",
    ),
    Panel(
        "The books",
        "accepted = stored + duplicate + dead-lettered + queued, at any moment.",
        [("{{account}}", "max by (account) (analytics_books_events)")],
    ),
    Panel(
        "Oldest job over time",
        "Age of the oldest job in the queue. Answers are complete up to when it was queued.",
        [("oldest", "max(analytics_queue_oldest_seconds)")],
        unit="s",
    ),
    Panel(
        "Names not linked",
        "Claims and aliases that link nobody, because a person would have more than 10,000 names.",
        [("not linked", f"{rate('analytics_names_not_linked_total')} or vector(0)")],
        unit="eps",
    ),
    Panel(
        "Partitions ahead",
        "How far into the future partitions exist. TimescaleDB creates its own and shows none.",
        [("ahead", "(max(analytics_partitions_end_timestamp_seconds) - time()) or vector(0)")],
        unit="s",
    ),
    Panel(
        "Days with too many event names",
        "Rollups keep no names for these days of projects: raw events answer, which takes longer.",
        [("days", "max(analytics_rollup_nameless_days) or vector(0)")],
    ),
    Panel(
        "Events may be lost",
        "1 while a loss of acknowledged events is known and nobody has acknowledged it.",
        [("loss", "(max(analytics_lost_since_timestamp_seconds) > bool 0) or vector(0)")],
    ),
]

API_REQUESTS = "analytics_api_requests_total"
API_LATENCY = "analytics_api_latency_seconds"

API = [
    stat("Questions", "Questions a second to the api.", rate(API_REQUESTS), "reqps"),
    stat(
        "p95",
        "Over all questions. The target is 500 ms.",
        quantiles(API_LATENCY)[1][1],
        "s",
        (0.25, 0.5),
    ),
    stat(
        "Failing",
        "Share of questions answered 5xx.",
        failing(API_REQUESTS),
        "percentunit",
        (0.001, 0.01),
    ),
    up("Apis", "api"),
    stat(
        "Live connections",
        "WebSockets and event streams that are open now.",
        "sum(analytics_realtime_connections) or vector(0)",
    ),
    up("Realtimes", "realtime"),
    chart(
        "Questions by endpoint",
        "How often each is asked.",
        "reqps",
        ("{{endpoint}}", rate(API_REQUESTS, "endpoint")),
    ),
    Panel(
        "p95 by endpoint",
        "95th percentile of the latency of each question.",
        [("{{endpoint}}", quantiles(API_LATENCY, (95,), "endpoint")[0][1])],
        unit="s",
    ),
    chart(
        "Cached answers",
        "hit: given from the cache. miss: computed.",
        "reqps",
        ("{{cache}}", rate("analytics_answers_total", "cache")),
    ),
    Panel("Latency", "Over all questions.", quantiles(API_LATENCY), unit="s"),
    chart(
        "Answers",
        "Answers by status. 4xx: the fault of the caller. 5xx: ours.",
        "reqps",
        ("{{status}}", rate(API_REQUESTS, "status")),
    ),
    chart(
        "Live messages",
        "Messages sent to realtime clients, by type.",
        "ops",
        ("{{type}}", f"{rate('analytics_realtime_messages_sent_total', 'type')} or vector(0)"),
    ),
    Panel(
        "Missed by live clients",
        "Events not shown to a client: it read too slowly, or the live bus was lost. "
        "The client is told.",
        [("missed", f"{rate('analytics_realtime_events_missed_total')} or vector(0)")],
        unit="eps",
    ),
]

FROM = (
    "FROM raw_events AS e LEFT JOIN identity_links AS known"
    " ON known.project = e.project"
    ' AND known.actor = coalesce(user_id, session_id) COLLATE "C"'
    " WHERE e.project = '$project' AND $__timeFilter(timestamp)"
)
"""The events that are shown, each with its person where identity knows one."""

PERSON = "coalesce(person, user_id, session_id)"
PEOPLE = f"count(DISTINCT {PERSON})"

NO_SESSION = ord("$")
"""A session_id starting with `$` means that no session was given.

As a number: to Grafana the character itself begins a variable.
"""


def known_of(name: str) -> str:
    """What the tracker and the pipeline say of an event under `$name`, as text or null."""
    return f"metadata ->> (chr({NO_SESSION}) || '{name}')"


def top(title: str, description: str, name: str, heading: str) -> Panel:
    """A table of the most frequent values of `$name`, with events and people."""
    query = (
        f"SELECT {known_of(name)} AS {heading}, count(*) AS events, {PEOPLE} AS people"
        f" {FROM} AND {known_of(name)} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"
    )
    return Panel(title, description, [("", query)], "table", sql=True)


ENTRIES = (
    f"SELECT {known_of('path')} AS page, count(*) AS sessions FROM (SELECT metadata,"  # noqa: S608 - constants of ours
    f" CASE WHEN ascii(session_id) <> {NO_SESSION}"
    " THEN row_number() OVER (PARTITION BY session_id ORDER BY timestamp, id) = 1"
    " ELSE coalesce(timestamp - lag(timestamp)"
    f" OVER (PARTITION BY {PERSON}, ascii(session_id) = {NO_SESSION} ORDER BY timestamp, id)"
    " > interval '30 minutes', true) END AS begins"
    f" {FROM} AND {known_of('path')} IS NOT NULL) AS visited"
    " WHERE begins GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"
)
"""Of the events that have a page, the first of each session."""

SESSIONS = (
    f"SELECT (SELECT count(DISTINCT session_id) {FROM} AND ascii(session_id) <> {NO_SESSION})"  # noqa: S608 - constants of ours
    " + (SELECT count(*) FROM (SELECT timestamp - lag(timestamp)"
    f" OVER (PARTITION BY {PERSON} ORDER BY timestamp) AS silence"
    f" {FROM} AND ascii(session_id) = {NO_SESSION}) AS untold"
    " WHERE silence IS NULL OR silence > interval '30 minutes') AS sessions"
)
DAILY = (
    "FROM daily_metrics WHERE metric_name = 'events' AND dimension_key = ''"
    " AND dimension_value = '' AND project = '$project'"
    " AND $__timeFilter(date::timestamptz)"
)

BUSINESS = [
    stat(
        "Events",
        "Events in the range shown, in whole UTC days.",
        f"SELECT sum(value) AS events {DAILY}",
        sql=True,
    ),
    stat(
        "People",
        "Distinct people. A visitor who logs in is one person, before and after.",
        f"SELECT {PEOPLE} AS people {FROM}",
        sql=True,
    ),
    stat(
        "Sessions",
        "Explicit sessions. Where the sender gave none, a gap of 30 minutes ends a session.",
        SESSIONS,
        sql=True,
    ),
    stat(
        "Events a person",
        "Average number of events of a person.",
        f"SELECT count(*)::float / nullif({PEOPLE}, 0) AS each {FROM}",
        sql=True,
    ),
    stat(
        "Known people",
        "Share of people with at least one event with a user_id.",
        f"SELECT {PEOPLE} FILTER (WHERE user_id IS NOT NULL)::float"
        f" / nullif({PEOPLE}, 0) AS known {FROM}",
        "percentunit",
        sql=True,
    ),
    stat("Right now", "Events a second, all projects.", rate(EVENTS_QUEUED), "eps"),
    Panel(
        "Events a day",
        "Precomputed counts of UTC days.",
        [("", f"SELECT date::timestamptz AS time, value AS events {DAILY} ORDER BY 1")],
        "bars",
        sql=True,
    ),
    Panel(
        "People a day",
        "Distinct people of each UTC day.",
        [
            (
                "",
                f"SELECT date_trunc('day', timestamp, 'UTC') AS time, {PEOPLE} AS people"
                f" {FROM} GROUP BY 1 ORDER BY 1",
            )
        ],
        "bars",
        sql=True,
    ),
    Panel(
        "What people do",
        "Events and people by type and action.",
        [
            (
                "",
                "SELECT event_type AS type, event_action AS action, count(*) AS events,"
                f" {PEOPLE} AS people {FROM} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20",
            )
        ],
        "table",
        sql=True,
    ),
    top("Top pages", "Events and people by page.", "path", "page"),
    Panel("Entry pages", "Where sessions began.", [("", ENTRIES)], "table", sql=True),
    top("Referrers", "Events and people by source.", "referrer_source", "source"),
    top(
        "Countries",
        "Events and people by country. Needs COUNTRY_HEADER or GEOIP_FILE.",
        "country",
        "country",
    ),
    chart(
        "Events by type",
        "As they come in, all projects.",
        "eps",
        ("{{type}}", rate(EVENTS_RECEIVED, "type")),
        width=24,
    ),
]

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


def panel(number: int, shown: Panel, x: int, y: int) -> dict[str, Any]:
    """The JSON of a panel at a place of the grid."""
    source = EVENTS if shown.sql else PROMETHEUS
    kind = {"bars": "timeseries"}.get(shown.kind, shown.kind)
    defaults: dict[str, Any] = {"unit": shown.unit, "min": 0, "color": {"mode": "palette-classic"}}
    if shown.kind in ("timeseries", "bars"):
        bars = shown.kind == "bars"
        defaults["custom"] = {
            "drawStyle": "bars" if bars else "line",
            "fillOpacity": 70 if bars else 25 if shown.stack else 10,
            "lineWidth": 1,
            "showPoints": "never",
            "stacking": {"mode": "normal" if shown.stack else "none"},
        }
    if shown.kind == "stat":
        colours = zip((GREEN, YELLOW, RED), (None, *shown.steps), strict=False)
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
        "title": shown.title,
        "description": shown.help,
        "datasource": source,
        "gridPos": {"x": x, "y": y, "w": shown.width, "h": 4 if shown.kind == "stat" else 8},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": OPTIONS[kind],
        "targets": [
            target(letter, source, shown, *query)
            for letter, query in zip("ABCDE", shown.queries, strict=False)
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
    letter: str, source: dict[str, str], shown: Panel, legend: str, query: str
) -> dict[str, Any]:
    """The JSON of one query of a panel."""
    if shown.sql:
        shape = "time_series" if shown.kind == "bars" else "table"
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
    """The JSON of all panels, left to right, in a new line when one does not fit."""
    placed: list[dict[str, Any]] = []
    x = y = height = 0
    for number, shown in enumerate(panels, 1):
        if x + shown.width > COLUMNS:
            x, y = 0, y + height
        placed.append(panel(number, shown, x, y))
        x, height = x + shown.width, placed[-1]["gridPos"]["h"]
    return placed


def variables(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """The choices of a viewer: the data sources, and the project where panels read events."""
    choices: list[dict[str, Any]] = [
        {"name": "prometheus", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    ]
    if any(shown.sql for shown in panels):
        query = "SELECT DISTINCT project FROM daily_metrics ORDER BY 1"
        choices += [
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
    return choices


def dashboard(name: str) -> dict[str, Any]:
    """The JSON of a dashboard."""
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
    """The content of a dashboard's file."""
    return json.dumps(dashboard(name), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (HERE / f"{each}.json").write_text(text(each))
