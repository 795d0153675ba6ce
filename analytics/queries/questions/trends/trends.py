"""Trends: a measure over time, by a field or not; or several series and a formula over them."""

import asyncio
import string
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, NotRequired, TypedDict, cast

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from analytics.errors import BadRequest
from analytics.queries.database import texts
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language import intervals, times
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import ANY_EVENT, EventFilter
from analytics.queries.language.formula import Formula
from analytics.queries.language.intervals import DAY, MAX_BUCKETS, Interval, edges_before
from analytics.queries.language.measures import COUNT, Measure, Number, number
from analytics.queries.language.query import FilteredQuery, Limit
from analytics.queries.question import Question
from analytics.queries.questions.trends.lines import (
    OTHER,
    Groups,
    LinesSpec,
    Totals,
    Values,
    Window,
)
from analytics.queries.questions.trends.source import LineSource, RawLines, preferred

MAX_VALUES = 2_000_000
"""Groups × buckets in one answer."""

Item = dict[str, Any]
"""One Line of the answer."""


class Line(TypedDict):
    """A measure over time. `other` has no key; `compare` adds `previous` and its total."""

    key: NotRequired[dict[str, str | None]]
    values: list[Number]
    total: Number
    previous: NotRequired[list[Number]]
    previous_total: NotRequired[Number]


class Lines(TypedDict):
    """The answer of `/api/trends`: the starts of the buckets, and a line a group or series."""

    times: list[str]
    series: list[Line]
    other: Line | None


class SeriesSpec(msgspec.Struct, frozen=True):
    """`MEASURE@EVENT`: one series; letters from A name them in order."""

    examples: ClassVar = ("users@account:signup",)

    text: str
    measure: Measure
    event: EventFilter

    @classmethod
    def read(cls, text: str) -> "SeriesSpec":
        """Raises ValueError where either part is not valid."""
        parts = text.split("@")
        if len(parts) != 2:
            raise ValueError("it is MEASURE@EVENT; an @ inside a name is written %40")
        return cls(text, Measure.read(parts[0]), EventFilter.read(parts[1]))


class Trends(FilteredQuery, frozen=True, kw_only=True):
    """The parameters of `/api/trends`."""

    interval: Interval = DAY
    measure: Measure = COUNT
    by: Field | None = None
    limit: Limit = 10
    compare: Literal["previous"] | None = None
    rolling: Annotated[int, Meta(ge=1, le=1000)] = 1
    series: tuple[SeriesSpec, ...] = ()
    formula: Formula | None = None

    @classmethod
    def complete(cls, values: dict[str, Any], now: datetime, project: str) -> None:
        super().complete(values, now, project)
        series = values.get("series", ())
        # programs made from openapi.json send parameters at their defaults too
        usual = {"event": ANY_EVENT, "measure": COUNT, "by": None}
        given = (name for name, default in usual.items() if values.get(name, default) != default)
        if series and (clash := next(given, None)):
            raise BadRequest(
                f"{clash} and series exclude each other", code="conflicting_parameters", field=clash
            )
        if len(series) > len(string.ascii_uppercase):
            raise BadRequest(
                "series: there are at most 26, A to Z", code="bad_parameter", field="series"
            )
        unknown = (
            values["formula"].names - set(string.ascii_uppercase[: len(series)])
            if "formula" in values
            else set()
        )
        if unknown or ("formula" in values and not series):
            raise BadRequest(
                f"formula: there is no series {', '.join(sorted(unknown))}",
                code="bad_parameter",
                field="formula",
            )


class TimeAxis(msgspec.Struct, frozen=True):
    """The buckets of a query: those asked for, and as many before them to compare with."""

    edges: list[datetime]
    """Of the buckets shown."""
    window: Window
    previous: Window | None

    @classmethod
    def of(cls, query: Trends) -> "TimeAxis":
        """Raises BadRequest for too many buckets, or buckets before the year 1."""
        try:
            edges = intervals.edges(query.start, query.end, query.interval, query.tz)
            buckets, reach = len(edges) - 1, query.rolling
            back = reach - 1 + (buckets if query.compare else 0)
            if buckets + back > MAX_BUCKETS:
                raise ValueError(
                    f"more than {MAX_BUCKETS:,} buckets, counting those before the range"
                )
            edges = [*edges_before(edges[0], back, query.interval, query.tz), *edges]
        except ValueError as error:
            raise BadRequest(
                f"interval: {error}", code="too_many_buckets", field="interval"
            ) from error
        except OverflowError as error:
            raise BadRequest(
                "from: a bucket would begin outside the years 1 to 9999",
                code="bad_parameter",
                field="from",
            ) from error
        width = buckets + reach
        return cls(
            edges[back:],
            Window(edges[-width:], query.start, query.end, reach),
            Window.whole(edges[:width], reach) if query.compare else None,
        )

    @property
    def buckets(self) -> int:
        return self.window.buckets


async def answer(query: Trends, snapshot: Snapshot) -> Lines:
    """A measure over time: an item for each group, or for each series and the formula.

    `other` covers the groups that are not shown.
    """
    axis = TimeAxis.of(query)
    starts = [times.shown(edge, query.tz) for edge in axis.edges[:-1]]
    answered: list[tuple[list[Item], Item | None]] = []
    for one in _each_series(query):
        spec = LinesSpec(one, one.measure, one.by, axis.window, axis.previous)
        source = await preferred(one.measure).load(spec, snapshot) or RawLines(spec, snapshot)
        answered.append(await _items(one, axis, source))
    items, other = answered[0]
    if query.series:
        items, other = await asyncio.to_thread(_lettered, query, answered), None
    return cast(Lines, {"times": starts, "series": items, "other": other})


def _each_series(query: Trends) -> Iterator[Trends]:
    """The query for each series: the same with another event and measure. Without any, itself."""
    for series in query.series:
        yield replace(query, event=series.event, measure=series.measure)
    if not query.series:
        yield query


class Measured(msgspec.Struct, frozen=True):
    """A measure in the buckets of a window and over its range, by slot."""

    values: Values
    totals: Totals

    def of(self, slot: int, buckets: int, empty: Number) -> tuple[list[Number], Number]:
        """The values and the total of a slot; `empty` where there are no rows."""
        values = self.values.get(slot, {})
        dense = [number(values[at]) if at in values else empty for at in range(buckets)]
        return dense, number(self.totals.get(slot, empty))


async def _measured(source: LineSource, groups: Groups, window: Window) -> Measured:
    values = await source.values(groups, window)
    return Measured(values, await source.totals(groups, window, values))


async def _items(
    query: Trends, axis: TimeAxis, source: LineSource
) -> tuple[list[Item], Item | None]:
    """The items of the largest groups, and that of all other rows if there are any."""
    groups = Groups(query.by, tuple(await source.largest(query.limit)))
    texts.check(groups.shown)
    shown, buckets = len(groups.shown), axis.buckets
    if shown * buckets > MAX_VALUES:
        raise BadRequest(
            f"limit: {shown:,} groups of {buckets:,} buckets are too much for one answer",
            code="too_many_buckets",
            field="limit",
        )
    current = await _measured(source, groups, axis.window)
    previous = await _measured(source, groups, axis.previous) if axis.previous else None
    empty = query.measure.kind.empty

    def item(slot: int) -> Item:
        values, total = current.of(slot, buckets, empty)
        line: Item = {"values": values, "total": total}
        if previous is not None:
            line["previous"], line["previous_total"] = previous.of(slot, buckets, empty)
        return line

    def items() -> tuple[list[Item], Item | None]:
        shown_items = [
            {"key": {query.by.text: key} if query.by else {}, **item(slot)}
            for slot, key in enumerate(groups.shown, 1)
        ]
        return shown_items, item(OTHER) if OTHER in current.totals else None

    return await asyncio.to_thread(items)


def _lettered(query: Trends, answered: Sequence[tuple[list[Item], Item | None]]) -> list[Item]:
    """The items of all series, each with its letter, and that of the formula."""
    items: list[Item] = [
        {**item, "key": {"series": letter}}
        for letter, ((item,), _) in zip(string.ascii_uppercase, answered, strict=False)
    ]
    if query.formula:
        items.append({"key": {"formula": query.formula.text}, **_calculated(query.formula, items)})
    return items


def _calculated(formula: Formula, items: list[Item]) -> Item:
    """The formula of the items' values and totals, previous ones too."""

    def of(*numbers: Number) -> Number:
        return formula.of(dict(zip(string.ascii_uppercase, numbers, strict=False)))

    calculated: Item = {}
    for name in (name for name in items[0] if name != "key"):
        figures = [item[name] for item in items]
        over_time = isinstance(figures[0], list)
        calculated[name] = list(map(of, *figures)) if over_time else of(*figures)
    return calculated


QUESTION = Question("/trends", Trends, answer)
