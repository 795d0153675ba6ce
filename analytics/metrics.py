"""Every metric, declared once, in one registry for the process."""

from typing import Any

from aioprometheus.collectors import Counter, Gauge, Histogram, Registry
from aioprometheus.renderer import render as _render

REGISTRY = Registry()

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


def _counter(name: str, help_: str) -> Counter:
    return Counter(f"analytics_{name}", help_, registry=REGISTRY)


def _gauge(name: str, help_: str) -> Gauge:
    return Gauge(f"analytics_{name}", help_, registry=REGISTRY)


def _histogram(name: str, help_: str, buckets: tuple[float, ...]) -> Histogram:
    return _Histogram(f"analytics_{name}", help_, buckets=list(buckets), registry=REGISTRY)


# collector
events_received = _counter("events_received_total", "Valid events received from clients, by type.")
events_queued = _counter("events_queued_total", "Events written durably to the queue.")
events_dropped = _counter(
    "events_dropped_total", "Valid events dropped by the pipeline, by reason."
)
events_rejected = _counter("events_rejected_total", "Events refused by the collector, by code.")
collect_requests = _counter(
    "collect_requests_total", "Requests to the collector, by protocol and status."
)
collect_latency = _histogram(
    "collect_latency_seconds",
    "From request to answer, including the durable write to the queue.",
    _LATENCY,
)
batch_size = _histogram("batch_size_histogram", "Events in one group commit to the queue.", _SIZES)

# processor
events_processed = _counter(
    "events_processed_total", "Events finished: stored, duplicate or dead-lettered."
)
processing_duration = _histogram(
    "processing_duration_seconds", "Duration of one storing transaction.", _LATENCY
)
transaction_size = _histogram(
    "transaction_size_events", "Events in one storing transaction.", _SIZES
)
store_retries = _counter(
    "store_retries_total", "Storing transactions to be retried, by class of SQLSTATE."
)
names_not_linked = _counter(
    "names_not_linked_total",
    "Claims and aliases that link nobody, because a person would have too many names.",
)
partitions_end = _gauge(
    "partitions_end_timestamp_seconds",
    "Unix time up to which partitions of raw_events exist. " + SAME,
)
lost_since = _gauge(
    "lost_since_timestamp_seconds",
    "Unix time since which acknowledged events may be lost; 0 without a loss. " + SAME,
)
nameless_days = _gauge(
    "rollup_nameless_days",
    "Days of projects with more event names than rollups keep; raw events answer for these names.",
)

# the queue and the books, read from Redis whenever a role is scraped
queue_depth = _gauge("queue_depth", "Events waiting in the queue. " + SAME)
queue_jobs = _gauge("queue_jobs", "Jobs waiting in the queue. " + SAME)
queue_oldest = _gauge("queue_oldest_seconds", "Age of the oldest job in the queue. " + SAME)
queue_admitting = _gauge("queue_admitting", "1 while the queue takes events, 0 while it is full.")
books = _gauge(
    "books_events",
    "The books, by account: accepted = stored + duplicate + dead_lettered + queued. " + SAME,
)

# api
api_requests = _counter("api_requests_total", "Requests to the api, by endpoint and status.")
api_latency = _histogram("api_latency_seconds", "From request to answer, by endpoint.", _LATENCY)
answers = _counter("answers_total", "Answers to cacheable questions, by cache: hit or miss.")

# realtime
realtime_connections = _gauge("realtime_connections", "Open connections, by transport.")
realtime_sent = _counter("realtime_messages_sent_total", "Messages sent to clients, by type.")
realtime_missed = _counter(
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


def render() -> tuple[bytes, dict[str, str]]:
    """All metrics in Prometheus' text format, and the headers of that answer."""
    body, headers = _render(REGISTRY, ["text/plain"])
    return body, headers
