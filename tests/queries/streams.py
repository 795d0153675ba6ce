"""Random streams of events around days on which clocks change, and random questions about them."""

import json
import operator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.queries.oracle import SILENCE, Condition, Pair, Row, Trend, buckets

PLACES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/Los_Angeles", "2026-03-08"),
    ("America/Los_Angeles", "2026-11-01"),
    ("Asia/Kathmandu", "2026-06-01"),
    ("Asia/Kathmandu", "1986-01-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Africa/Cairo", "2026-04-24"),
    ("Africa/Cairo", "2026-10-30"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/Sao_Paulo", "2018-02-18"),
    ("America/Havana", "2026-11-01"),
    ("America/Toronto", "1919-03-31"),
    ("Asia/Beirut", "2026-03-29"),
    ("Pacific/Apia", "2011-12-30"),
    ("UTC", "2026-01-01"),
]
"""A zone, and a local date on or just before which its clocks change (or never do)."""

REACH = {
    "minute": timedelta(minutes=40),
    "hour": timedelta(hours=30),
    "day": timedelta(days=4),
    "week": timedelta(days=30),
    "month": timedelta(days=100),
}
"""How far a range reaches from the date, for a number of buckets that is quick to count."""

NAMES = [
    "a",
    "b",
    "A",
    "a:b",
    "x,y",
    "u@h",
    "*",
    "50%",
    "%41",
    "é",
    "e\u0301",
    "😀",
    " ",
    "\uffff",
    "a.b",
]
TEXTS = [*NAMES, "", "1", "1.0", "true", "null", "10", "ab"]
KEYS = ["k", "n", "eq", "a.b", "é", "%2E", "set"]
DECIMALS = [
    Decimal(text) for text in ("1.0", "1.50", "1e2", "-0.0", "0.1", "1e-7", "2.5", "-3e5", "1e-400")
]
SCALARS = [*TEXTS, None, True, False, 0, 1, -1, 10, 2**53 + 1, 10**20, *DECIMALS]

words = st.sampled_from(NAMES)
texts = st.sampled_from(TEXTS)
keys = st.sampled_from(KEYS)
objects: Any = st.dictionaries(
    keys, st.sampled_from([*SCALARS, *SCALARS, {}, {"k": 1}, {"k": "a", "eq": None}]), max_size=3
)


@st.composite
def streams(draw: st.DrawFn, asked: Trend, least: int = 0) -> list[Row]:
    """Rows in and around the range, many of them exactly on edges of buckets or at the same
    instant.
    """
    width = len(buckets(asked.start, asked.end, asked.interval, asked.zone, 0)) - 1
    edges = buckets(
        asked.start,
        asked.end,
        asked.interval,
        asked.zone,
        asked.rolling - 1 + (width if asked.compare else 0),
    )
    tick = timedelta(microseconds=1)
    moments = [
        asked.start,
        asked.end,
        asked.start - tick,
        asked.end - tick,
        *edges,
        *(edge - tick for edge in edges),
    ]
    span = int((edges[-1] - edges[0]) / tick)
    instants = st.sampled_from(moments) | st.integers(0, span).map(lambda at: edges[0] + at * tick)
    silences = st.sampled_from(
        [timedelta(0), timedelta(0), SILENCE - tick, SILENCE, SILENCE, SILENCE + tick, 2 * SILENCE]
    )
    row = st.builds(
        Row,
        id=st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number)),
        timestamp=st.builds(operator.add, instants, silences),
        session_id=st.sampled_from(["s", "t", "u", "é", "$none", "$none", "$s"]),
        user_id=st.sampled_from([None, None, "s", "u", "v"]),
        event_type=words,
        event_action=st.sampled_from(["a", "b", "*"]),
        metadata=objects,
    )
    return draw(st.lists(row, min_size=least, max_size=30, unique_by=lambda row: row.id))


paths = st.sampled_from(
    [("event_type",), ("event_action",), ("user_id",), ("session_id",)]
) | st.one_of(st.tuples(st.just("metadata"), keys), st.tuples(st.just("metadata"), keys, keys))
one_pair = st.tuples(st.none() | words, st.none() | st.sampled_from(["a", "*"]))
pairs: st.SearchStrategy[tuple[Pair, ...]] = st.just(((None, None),)) | st.lists(
    one_pair, min_size=1, max_size=3
).map(tuple)
numbers = st.sampled_from(["0", "1", "-1", "1.5", "1e2", "0.1", "9007199254740993", "1e-400"])
patterns = st.sampled_from(["^a", "a|b", "[0-9]+", "é", "^$", "[^a]b", r"\.", "(a)(b)"])
conditions = st.one_of(
    st.builds(
        Condition,
        paths,
        st.sampled_from(["eq", "ne", "in", "nin", "contains", "ncontains"]),
        st.lists(texts, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(Condition, paths, st.sampled_from(["gt", "gte", "lt", "lte"]), st.tuples(numbers)),
    st.builds(Condition, paths, st.just("re"), st.tuples(patterns)),
    st.builds(Condition, paths, st.sampled_from(["set", "unset"])),
)
measures = st.tuples(st.sampled_from(["count", "users", "sessions"]), st.none()) | st.tuples(
    st.sampled_from(["sum", "avg", "min", "max", "p50", "p90", "p95", "p99"]),
    st.tuples(st.just("metadata"), keys),
)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[ZoneInfo, str, datetime, datetime]:
    """A zone, an interval and a range around a day on which clocks change."""
    name, day = draw(st.sampled_from(PLACES))
    interval = draw(st.sampled_from(list(REACH)))
    middle = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(name)).astimezone(UTC)
    reach = int(REACH[interval].total_seconds())
    step = draw(st.sampled_from([900, 60, 1]))
    offsets = st.integers(-reach // step, reach // step).map(
        lambda at: middle + timedelta(seconds=at * step)
    )
    start, end = sorted(draw(st.lists(offsets, min_size=2, max_size=2, unique=True)))
    return ZoneInfo(name), interval, start, end


@st.composite
def questions(draw: st.DrawFn) -> Trend:
    zone, interval, start, end = draw(ranges())
    return Trend(
        start,
        end,
        zone,
        interval,
        measure=draw(measures),
        pairs=draw(pairs),
        where=draw(st.just(()) | st.lists(conditions, max_size=2).map(tuple)),
        by=draw(st.none() | st.just(("event_type",)) | st.just(("metadata", "k")) | paths),
        limit=draw(st.sampled_from([1, 2, 10])),
        compare=draw(st.booleans()),
        rolling=draw(st.sampled_from([1, 1, 2, 3])),
    )


# how parameters are written


def encoded(text: str, special: str) -> str:
    """A name or value, percent-encoded where it would be split or decoded, before the query
    string's own encoding.
    """
    return "".join(
        f"%{ord(character):02X}" if character in f"%{special}" else character for character in text
    )


def written_field(path: tuple[str, ...]) -> str:
    """A key that is an operator's name could be taken for the operator, so its first letter is
    encoded.
    """
    keys = [
        f"%{ord(key[0]):02X}{key[1:]}" if key in ("eq", "set") and at > 0 else encoded(key, ".:,@")
        for at, key in enumerate(path[1:])
    ]
    return ".".join([path[0], *keys])


def written_condition(condition: Condition) -> str:
    special = "" if condition.operator in ("re", "gt", "gte", "lt", "lte") else ","
    values = ",".join(encoded(value, special) for value in condition.values)
    written = f"{written_field(condition.path)}.{condition.operator}"
    return f"{written}.{values}" if condition.values else written


def written_pairs(pairs: tuple[Pair, ...]) -> str:
    def name(text: str | None) -> str:
        return "*" if text is None else "%2A" if text == "*" else encoded(text, ":,@")

    return ",".join(
        name(type_) if action is None else f"{name(type_)}:{name(action)}"
        for type_, action in pairs
    )


def written_measure(measure: tuple[str, tuple[str, ...] | None]) -> str:
    return measure[0] if measure[1] is None else f"{measure[0]}:{written_field(measure[1])}"


def written_filters(asked: Trend) -> list[tuple[str, str]]:
    written = [
        ("from", asked.start.isoformat()),
        ("to", asked.end.isoformat()),
        ("tz", asked.zone.key),
        ("event", written_pairs(asked.pairs)),
    ]
    return [*written, *(("where", written_condition(condition)) for condition in asked.where)]


def written(asked: Trend) -> list[tuple[str, str]]:
    """The parameters of `/api/trends`."""
    parameters = [
        *written_filters(asked),
        ("interval", asked.interval),
        ("measure", written_measure(asked.measure)),
        ("limit", str(asked.limit)),
    ]
    parameters += [("by", written_field(asked.by))] if asked.by else []
    parameters += [("compare", "previous")] if asked.compare else []
    return [*parameters, ("rolling", str(asked.rolling))] if asked.rolling > 1 else parameters


def exact(value: Any) -> str:
    """JSON, with Decimals written digit for digit."""
    if isinstance(value, dict):
        return (
            "{" + ",".join(f"{json.dumps(key)}:{exact(item)}" for key, item in value.items()) + "}"
        )
    return str(value) if isinstance(value, Decimal) else json.dumps(value)
