"""Every metric, declared once, with the role that shows it."""

from typing import Any, TypeVar

from aioprometheus.collectors import Counter, Gauge, Histogram, Registry
from aioprometheus.renderer import render as _render

from analytics.settings import ROLES

REGISTRY = Registry()
"""All metrics of the process."""

_SHOWN = {role: Registry() for role in ROLES}
"""What each role shows: roles of one process share no counter, so that a sum counts none twice."""

SAME = "The same in every process that shows it: take the max, never the sum."
"""In the help of what is not the process's own, but of the one queue or database."""


class _Bound(float):
    """The upper bound of a bucket, written as in the guide: 10, not 10.0."""

    def __str__(self) -> str:
        return f"{float(self):g}"


class _Histogram(Histogram):
    """A histogram whose label `le` is a _Bound."""

    def get(self, labels: dict[str, str]) -> dict[float | str, Any]:
        return {
            _Bound(key) if isinstance(key, float) else key: value
            for key, value in super().get(labels).items()
        }


_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0)


_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)


class _Declared:
    """Declares the metrics of some roles, named without `analytics_`."""

    def __init__(self, *roles: str) -> None:
        self._roles = roles

    def counter(self, name: str, help_: str) -> Counter:
        return self._shown(Counter(f"analytics_{name}", help_, registry=REGISTRY))

    def gauge(self, name: str, help_: str) -> Gauge:
        return self._shown(Gauge(f"analytics_{name}", help_, registry=REGISTRY))

    def histogram(self, name: str, help_: str, buckets: tuple[float, ...]) -> Histogram:
        bounds = list(buckets)
        return self._shown(
            _Histogram(f"analytics_{name}", help_, registry=REGISTRY, buckets=bounds)
        )

    def _shown(self, metric: _Metric) -> _Metric:
        for role in self._roles:
            _SHOWN[role].register(metric)
        return metric


_collector = _Declared("collector")
events_received = _collector.counter(
    "events_received_total", "Valid events received from clients, by type."
)
events_queued = _collector.counter("events_queued_total", "Events written durably to the queue.")
events_dropped = _collector.counter(
    "events_dropped_total", "Valid events dropped by the pipeline, by reason."
)
events_rejected = _collector.counter(
    "events_rejected_total", "Events refused by the collector, by code."
)
collect_requests = _collector.counter(
    "collect_requests_total", "Requests to the collector, by protocol and status."
)
collect_latency = _collector.histogram(
    "collect_latency_seconds",
    "From request to answer, including the durable write to the queue.",
    _LATENCY,
)
batch_size = _collector.histogram(
    "batch_size_histogram", "Events in one group commit to the queue.", _SIZES
)
queue_admitting = _collector.gauge(
    "queue_admitting", "1 while the queue takes events, 0 while it is full."
)

_processor = _Declared("processor")
events_processed = _processor.counter(
    "events_processed_total", "Events finished: stored, duplicate or dead-lettered."
)
processing_duration = _processor.histogram(
    "processing_duration_seconds", "Duration of one storing transaction.", _LATENCY
)
transaction_size = _processor.histogram(
    "transaction_size_events", "Events in one storing transaction.", _SIZES
)
store_retries = _processor.counter(
    "store_retries_total", "Storing transactions to be retried, by class of SQLSTATE."
)
names_not_linked = _processor.counter(
    "names_not_linked_total",
    "Claims and aliases that link nobody, because a person would have too many names.",
)
partitions_end = _processor.gauge(
    "partitions_end_timestamp_seconds",
    "Unix time up to which partitions of raw_events exist. " + SAME,
)
lost_since = _processor.gauge(
    "lost_since_timestamp_seconds",
    "Unix time since which acknowledged events may be lost; 0 without a loss. " + SAME,
)
nameless_days = _processor.gauge(
    "rollup_nameless_days",
    "Days of projects with more event names than rollups keep; raw events answer for these names. "
    + SAME,
)

_every = _Declared(*ROLES)  # the queue and the books, read from Redis at each scrape
queue_depth = _every.gauge("queue_depth", "Events waiting in the queue. " + SAME)
queue_jobs = _every.gauge("queue_jobs", "Jobs waiting in the queue. " + SAME)
queue_oldest = _every.gauge("queue_oldest_seconds", "Age of the oldest job in the queue. " + SAME)
books = _every.gauge(
    "books_events",
    "The books, by account: accepted = stored + duplicate + dead_lettered + queued. " + SAME,
)

_api = _Declared("api")
api_requests = _api.counter("api_requests_total", "Requests to the api, by endpoint and status.")
api_latency = _api.histogram(
    "api_latency_seconds", "From request to answer, by endpoint.", _LATENCY
)
answers = _api.counter("answers_total", "Answers to cacheable questions, by cache: hit or miss.")

_realtime = _Declared("realtime")
realtime_connections = _realtime.gauge("realtime_connections", "Open connections, by transport.")
realtime_sent = _realtime.counter(
    "realtime_messages_sent_total", "Messages sent to clients, by type."
)
realtime_missed = _realtime.counter(
    "realtime_events_missed_total",
    "Events that clients missed because they read too slowly or the connection to Redis was lost.",
)


class Vocabulary:
    """The values of a label, bounded: the first `limit` seen, escaped; all others are `other`."""

    def __init__(self, *first: str, limit: int = 100) -> None:
        self._limit = limit
        self._words = {word: escape(word) for word in first}

    def word(self, text: str) -> str:
        """The label value for a text."""
        known = self._words.get(text)
        if known is None:
            if len(self._words) >= self._limit:
                return "other"
            known = self._words[text] = escape(text)
        return known


def escape(text: str) -> str:
    """A label value escaped for Prometheus' text format; aioprometheus leaves that to us."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


event_types = Vocabulary("engagement")


def render(role: str) -> tuple[bytes, dict[str, str]]:
    """The metrics of a role in Prometheus' text format, and the headers of that answer."""
    body, headers = _render(_SHOWN[role], ["text/plain"])
    return body, headers
