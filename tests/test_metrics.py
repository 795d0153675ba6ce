"""Texts of clients can neither multiply our metrics nor add lines of their own."""

import re
from collections import Counter

import pytest

from analytics import metrics
from analytics.metrics import Vocabulary
from analytics.settings import ROLES
from tests.collecting import GOOD, running

INJECTION = 'x"} 1\nanalytics_events_stored_total{type="forged'

LINE = re.compile(r'\w+(\{(\w+="([^"\\\n]|\\["\\n])*",?)*\})? \S+')
"""A sample in Prometheus' text format."""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Vocabulary:
    """The vocabulary of event types as a collector begins with it."""
    vocabulary = Vocabulary("engagement")
    monkeypatch.setattr(metrics, "event_types", vocabulary)
    return vocabulary


def test_a_vocabulary_keeps_the_words_seen_first_and_calls_the_rest_other(
    fresh: Vocabulary,
) -> None:
    words = [fresh.word(f"type {number}") for number in range(150)]
    assert words[:99] == [f"type {number}" for number in range(99)]
    assert set(words[99:]) == {"other"}
    assert fresh.word("engagement") == "engagement"
    assert fresh.word("type 7") == "type 7"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (INJECTION, r"x\"} 1\nanalytics_events_stored_total{type=\"forged"),
        ("a\\", r"a\\"),
        ("é", "é"),
    ],
)
def test_a_word_is_escaped_as_prometheus_reads_it(
    fresh: Vocabulary, text: str, escaped: str
) -> None:
    assert fresh.word(text) == fresh.word(text) == escaped


async def test_an_event_type_writes_no_line_of_its_own(fresh: Vocabulary) -> None:
    async with running() as client:
        await client.send_events([GOOD | {"event_type": INJECTION}, GOOD | {"event_type": 'a\\"b'}])
        text = (await client.get("/metrics")).text
    samples = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in samples if not LINE.fullmatch(line)] == []
    assert not [line for line in samples if line.startswith("analytics_events_stored_total")]
    assert r'analytics_events_received_total{type="a\\\"b"} 1' in samples


def names_of(role: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\w+) ", metrics.render(role)[0].decode(), re.MULTILINE))


def test_a_metric_is_shown_by_one_role_or_is_the_same_in_all() -> None:
    """Roles of one process count in one place, and a sum over their ports must be true."""
    shown = Counter(name for role in ROLES for name in names_of(role))
    same = {each.name for each in metrics.REGISTRY.get_all() if each.doc.endswith(metrics.SAME)}
    assert shown.keys() == {each.name for each in metrics.REGISTRY.get_all()}
    assert {name for name, roles in shown.items() if roles > 1} <= same
    assert "analytics_queue_depth" in same
    assert shown["analytics_queue_depth"] == len(ROLES)
    assert "analytics_events_processed_total" in names_of("processor")
    assert "analytics_api_requests_total" in names_of("api")


def test_a_bucket_is_labelled_as_in_the_guide() -> None:
    metrics.batch_size.observe({}, 7)
    metrics.collect_latency.observe({"protocol": "native"}, 0.2)
    text = metrics.render("collector")[0].decode()
    bounds = re.findall(r'analytics_batch_size_histogram_bucket\{le="([^"]+)"\}', text)
    assert bounds == ["1", "10", "50", "100", "500", "1000", "5000", "10000", "+Inf"]
    assert set(re.findall(r'le="([^"]*\.0)"', text)) == set()
    assert 'le="0.25"' in text
