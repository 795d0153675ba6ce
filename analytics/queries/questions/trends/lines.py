"""Lines: one measure over time, for each of several groups; and the SQL that reads them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

import msgspec
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    case,
    func,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.queries.database.texts import bounded
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import Condition
from analytics.queries.language.measures import Measure, Statement
from analytics.queries.language.query import FilteredQuery
from analytics.tables import Instant, raw_events

OTHER = 0
"""The slot of all rows outside the groups shown. These have slots from 1, in their order."""

Values = dict[int, dict[int, Any]]
"""Slot → bucket (from 0) → the measure, where there are rows."""

Totals = dict[int, Any]
"""Slot → the measure over the range of a window, where there are rows."""


class Groups(msgspec.Struct, frozen=True):
    """The groups shown, in order. Without a field, all rows are one group."""

    by: Field | None = None
    shown: tuple[str | None, ...] = (None,)

    @property
    def rows(self) -> tuple[FromClause, ColumnElement[int]]:
        """Where rows come from, and the slot of each."""
        if self.by is None:
            return raw_events, literal_column("1")
        shown = (
            func.unnest(literal(list(self.shown), ARRAY(Text)))
            .table_valued("value", with_ordinality="slot")
            .render_derived("shown")
        )
        missing = self.shown.index(None) + 1 if None in self.shown else OTHER
        slot = case(
            (self.by.value.is_(None), literal_column(str(missing))),
            else_=func.coalesce(shown.c.slot, literal_column(str(OTHER))),
        )
        return raw_events.outerjoin(shown, shown.c.value == self.by.value), slot


class Window(msgspec.Struct, frozen=True):
    """Buckets by their edges, and the range inside them whose rows count in totals.

    The first `rolling` - 1 buckets are only there for later ones to include.
    """

    edges: Sequence[datetime]
    start: datetime
    end: datetime
    rolling: int = 1

    @classmethod
    def whole(cls, edges: Sequence[datetime], rolling: int = 1) -> Self:
        """One whose range is all buckets shown."""
        return cls(edges, edges[rolling - 1], edges[-1], rolling)

    @property
    def first(self) -> datetime:
        """Rows count in values from here on, up to `end`."""
        return self.start if self.rolling == 1 else self.edges[0]

    @property
    def buckets(self) -> int:
        """How many buckets are shown."""
        return len(self.edges) - self.rolling


class LinesSpec(msgspec.Struct, frozen=True):
    """Which lines to read: a measure by a field, in one window or two.

    `window` has the query's range; `previous`, to compare with, is before it.
    """

    query: FilteredQuery
    measure: Measure
    by: Field | None
    window: Window
    previous: Window | None


def largest(measure: Measure, by: Field, conditions: Sequence[Condition], limit: int) -> Statement:
    """The groups to show, as `key` and `value`.

    Largest first and nulls last, then by key in code-point order.
    """
    rows = measure.rows(conditions, by.value.label("key"))
    groups = measure.aggregated(rows, "key")
    key, value = groups.selected_columns
    order = value.desc().nulls_last(), key.collate("C").nulls_last()
    return bounded(groups.order_by(*order).limit(limit), [by], "key")


def lines(
    measure: Measure, groups: Groups, conditions: Sequence[Condition], window: Window
) -> Statement:
    """`slot`, `bucket` (from 1) and `value`, where there are rows."""
    source, slot = groups.rows
    bucket = func.width_bucket(raw_events.c.timestamp, literal(list(window.edges), ARRAY(Instant)))
    rows = measure.rows(conditions, slot.label("slot"), bucket.label("bucket"), source=source)
    if window.rolling == 1:
        return measure.aggregated(rows, "slot", "bucket")
    return _rolling(measure, rows, window)


def _rolling(measure: Measure, rows: Statement, window: Window) -> Statement:
    """Each row counts in its own bucket and in the `rolling` - 1 after it.

    Where the measure of a union follows from those of its parts, buckets are aggregated first and
    their values stand for their rows. Otherwise every row (each once, for what is distinct) is
    repeated for every bucket it counts in.
    """
    union = measure.kind.union
    if union:
        rows = measure.aggregated(rows, "slot", "bucket")
    elif measure.kind.unit:
        rows = rows.distinct()
    part = rows.subquery("parts")
    # Bucket b of the answer has buckets b to b + rolling - 1 of the window.
    first = func.greatest(part.c.bucket - (window.rolling - 1), 1)
    last = func.least(part.c.bucket, window.buckets)
    bucket = func.generate_series(first, last).table_valued("bucket").render_derived("windows")
    rolled = select(part.c.slot, bucket.c.bucket).select_from(part.join(bucket, true()))
    if union is None:
        return measure.aggregated(rolled.add_columns(part.c.operand), "slot", "bucket")
    return rolled.add_columns(union.sql(part.c.value).label("value")).group_by(
        part.c.slot, bucket.c.bucket
    )


def by_slot(rows: Sequence[Any]) -> Values:
    """The rows of `lines`, sorted into slots."""
    slots: Values = {}
    for slot, bucket, value in rows:
        slots.setdefault(slot, {})[bucket - 1] = value
    return slots
