"""What the docs say trends and events are, said again in plain Python; it shares no code with the
package.

Buckets come from walking the time line and watching the local clock, not from computing where they
begin; measures from lists and sets.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

Number = int | float | None


def as_json(value: Any) -> str:
    """JSON as PostgreSQL keeps it: numbers without exponents, shorter keys first, a blank after `:`
    and `,`.
    """
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{as_json(key)}: {as_json(value[key])}" for key in keys) + "}"
    if isinstance(value, Decimal):
        return format(abs(value) if value == 0 else value, "f")
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Row:
    """A stored event; metadata as JSON decoded with Decimal for every number that is not an
    integer.
    """

    id: UUID
    timestamp: datetime
    session_id: str
    user_id: str | None
    event_type: str
    event_action: str
    metadata: dict[str, Any] = field(hash=False)
    session: Any = None
    """Which it is, where `in_sessions` has said so."""

    def raw(self, path: Sequence[str]) -> Any:
        """What stands at a field, None if nothing does."""
        if path[0] != "metadata":
            return getattr(self, path[0])
        value: Any = self.metadata
        for key in path[1:]:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, path: Sequence[str]) -> str | None:
        """JSON values as text: strings as they are, all others as JSON writes them."""
        value = self.raw(path)
        return value if value is None or isinstance(value, str) else as_json(value)

    def number(self, path: Sequence[str]) -> Fraction | None:
        value = self.raw(path)
        is_number = (
            isinstance(value, int | Decimal)
            and not isinstance(value, bool)
            and path[0] == "metadata"
        )
        return Fraction(value) if is_number else None

    @property
    def actor(self) -> str:
        return self.session_id if self.user_id is None else self.user_id


@dataclass(frozen=True)
class Condition:
    """One `where`, in parts."""

    path: tuple[str, ...]
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, row: Row) -> bool:
        complements = {"ne": "eq", "nin": "in", "ncontains": "contains", "unset": "set"}
        if self.operator in complements:
            return not Condition(self.path, complements[self.operator], self.values).holds(row)
        if self.operator in ("gt", "gte", "lt", "lte"):
            number, bound = row.number(self.path), Fraction(self.values[0])
            if number is None:
                return False
            return {
                "gt": number > bound,
                "gte": number >= bound,
                "lt": number < bound,
                "lte": number <= bound,
            }[self.operator]
        text = row.text(self.path)
        if text is None:
            return False
        if self.operator in ("eq", "in"):
            return text in self.values
        if self.operator == "contains":
            return any(value in text for value in self.values)
        if self.operator == "re":
            return re.search(self.values[0], text) is not None
        return self.operator == "set"


Pair = tuple[str | None, str | None]


def is_event(row: Row, pairs: Iterable[Pair]) -> bool:
    return any(
        type_ in (None, row.event_type) and action in (None, row.event_action)
        for type_, action in pairs
    )


# time


@cache
def _label(instant: datetime, interval: str, zone: ZoneInfo) -> Any:
    local = instant.astimezone(zone)
    day = local.date()
    return {
        "minute": (day, local.hour, local.minute, local.utcoffset()),
        "hour": (day, local.hour, local.utcoffset()),
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
    }[interval]


SPAN = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=2),
    "day": timedelta(hours=49),
    "week": timedelta(days=9),
    "month": timedelta(days=33),
}


@cache
def buckets(
    start: datetime, end: datetime, interval: str, zone: ZoneInfo, before: int
) -> list[datetime]:
    """Edges of the buckets that hold start … end, with those of `before` more in front."""
    step = timedelta(minutes=1 if interval == "minute" else 15)
    reach = SPAN[interval]
    at = (start - reach * (before + 2)).replace(minute=0, second=0, microsecond=0)
    edges: list[datetime] = []
    label = _label(at, interval, zone)
    while not edges or at < end + reach or edges[-1] < end:
        at += step
        later = _label(at, interval, zone)
        if later != label if interval in ("minute", "hour") else later > label:
            edges.append(at)
            label = later
    first = max(i for i, edge in enumerate(edges) if edge <= start)
    last = min(i for i, edge in enumerate(edges) if edge >= end)
    return edges[first - before : last + 1]


# sessions

SILENCE = timedelta(minutes=30)


def in_sessions(rows: Iterable[Row]) -> list[Row]:
    """Rows that pass the filters, each with its session: the one it tells, or all of its person's
    to which one leads from another in 30 minutes or less.
    """
    rows = list(rows)
    with_session = [
        replace(row, session=("told", row.session_id))
        for row in rows
        if not row.session_id.startswith("$")
    ]
    without_session = [row for row in rows if row.session_id.startswith("$")]
    while without_session:
        mine, before = [without_session[0]], 0
        while len(mine) > before:
            before = len(mine)
            mine = [
                row
                for row in without_session
                if any(
                    row.actor == other.actor and abs(row.timestamp - other.timestamp) <= SILENCE
                    for other in mine
                )
            ]
        with_session += [replace(row, session=("made", without_session[0].id)) for row in mine]
        without_session = [row for row in without_session if row not in mine]
    return with_session


# measures


def simple(value: Fraction | None) -> Number:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else float(value)


def percentile(numbers: list[Fraction], share: Fraction) -> Fraction | None:
    if not numbers:
        return None
    numbers = sorted(numbers)
    place = share * (len(numbers) - 1)
    low = int(place)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (place - low) * (numbers[high] - numbers[low])


def measure(name: str, path: tuple[str, ...] | None, rows: Sequence[Row]) -> Fraction | None:
    if name == "count":
        return Fraction(len(rows))
    if name == "users":
        return Fraction(len({row.actor for row in rows}))
    if name == "sessions":
        return Fraction(len({row.session for row in rows}))
    assert path is not None
    numbers = [number for row in rows if (number := row.number(path)) is not None]
    if name == "sum":
        return sum(numbers, Fraction(0))
    if not numbers:
        return None
    if name in ("min", "max"):
        return min(numbers) if name == "min" else max(numbers)
    return (
        sum(numbers, Fraction(0)) / len(numbers)
        if name == "avg"
        else percentile(numbers, Fraction(int(name[1:]), 100))
    )


# questions


@dataclass(frozen=True)
class Trend:
    """A question, in parts."""

    start: datetime
    end: datetime
    zone: ZoneInfo
    interval: str
    measure: tuple[str, tuple[str, ...] | None] = ("count", None)
    pairs: tuple[Pair, ...] = ((None, None),)
    where: tuple[Condition, ...] = ()
    by: tuple[str, ...] | None = None
    limit: int = 10
    compare: bool = False
    rolling: int = 1


def trends(rows: Iterable[Row], asked: Trend) -> dict[str, Any]:
    """`times` as instants; `series` and `other` with exact values; the key of an item is the
    group's value alone.
    """
    rows = in_sessions(
        row
        for row in rows
        if is_event(row, asked.pairs) and all(condition.holds(row) for condition in asked.where)
    )
    in_range = [row for row in rows if asked.start <= row.timestamp < asked.end]
    width = len(buckets(asked.start, asked.end, asked.interval, asked.zone, 0)) - 1
    before = asked.rolling - 1 + (width if asked.compare else 0)
    edges = buckets(asked.start, asked.end, asked.interval, asked.zone, before)

    def of(some: Sequence[Row]) -> Fraction | None:
        return measure(*asked.measure, some)

    def line(first: int, last: int, some: list[Row]) -> list[Fraction | None]:
        """Values of buckets first … last - 1, each over the buckets that roll into it."""
        shown = range(first, last)
        return [
            of(
                [
                    row
                    for row in some
                    if edges[i - asked.rolling + 1] <= row.timestamp < edges[i + 1]
                ]
            )
            for i in shown
        ]

    def item(belongs: Callable[[Row], bool]) -> dict[str, Any]:
        mine = [row for row in in_range if belongs(row)]
        rolled = [row for row in rows if belongs(row) and row.timestamp < asked.end]
        figures: dict[str, Any] = {
            "values": line(before, before + width, mine if asked.rolling == 1 else rolled),
            "total": of(mine),
        }
        if asked.compare:
            figures["previous"] = line(
                before - width, before, [row for row in rows if belongs(row)]
            )
            first, end = edges[before - width], edges[before]
            figures["previous_total"] = of(
                [row for row in rows if belongs(row) and first <= row.timestamp < end]
            )
        return figures

    times = edges[before:-1]
    if asked.by is None:
        return {"times": times, "series": [(None, item(lambda _: True))], "other": None}
    path = asked.by
    totals = {
        key: of([row for row in in_range if row.text(path) == key])
        for key in {row.text(path) for row in in_range}
    }
    order = sorted(
        totals,
        key=lambda key: (
            (total := totals[key]) is None,
            -(total or 0),
            key is None,
            [ord(character) for character in key or ""],
        ),
    )
    shown = order[: asked.limit]
    others = any(row.text(path) not in shown for row in in_range)
    series = [(key, item(lambda row, key=key: row.text(path) == key)) for key in shown]  # type: ignore[misc]
    return {
        "times": times,
        "series": series,
        "other": item(lambda row: row.text(path) not in shown) if others else None,
    }


def events(
    rows: Iterable[Row],
    start: datetime,
    end: datetime,
    pairs: tuple[Pair, ...],
    where: tuple[Condition, ...],
) -> list[UUID]:
    """Ids, newest first."""
    chosen = [
        row
        for row in rows
        if start <= row.timestamp < end
        and is_event(row, pairs)
        and all(condition.holds(row) for condition in where)
    ]
    return [
        row.id for row in sorted(chosen, key=lambda row: (row.timestamp, row.id.int), reverse=True)
    ]


def first_instant(day: datetime, zone: ZoneInfo) -> datetime:
    """The first quarter of an hour at which the local date is `day`'s, or later where there is no
    such day.
    """
    at = day.replace(tzinfo=UTC) - timedelta(days=2)
    while at.astimezone(zone).date() < day.date():
        at += timedelta(minutes=15)
    return at
