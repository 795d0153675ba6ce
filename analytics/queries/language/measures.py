"""Measures: how `measure=` is written, and the aggregate over rows that it becomes."""

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from functools import reduce
from typing import Any, ClassVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Double,
    FromClause,
    Select,
    case,
    cast,
    func,
    literal_column,
    select,
)

from analytics.queries.language.fields import Field, decode
from analytics.queries.language.filters import Condition
from analytics.queries.language.membership import Unit, members
from analytics.tables import raw_events

Number = int | float | None
Operand = ColumnElement[Any]
Statement = Select[*tuple[Any, ...]]

_ROW: Operand = literal_column("1")
_TINY: Operand = literal_column("1e-300")


class Union(msgspec.Struct, frozen=True):
    """How the measures of disjoint parts make the measure of their union, in SQL and in Python."""

    sql: Callable[[Operand], Operand]
    python: Callable[[Iterable[Any]], Any]


EXACT = Context(prec=150_000)
"""With as many digits as PostgreSQL's `numeric` can have."""


def added(numbers: Iterable[Decimal | int]) -> Decimal:
    """The exact sum, with as many decimals as the number that has most of them."""
    return reduce(EXACT.add, numbers, Decimal(0))


_COUNT = Union(func.sum, sum)
_SUM = Union(func.sum, added)
_MIN = Union(
    func.min, lambda values: min((value for value in values if value is not None), default=None)
)
_MAX = Union(
    func.max, lambda values: max((value for value in values if value is not None), default=None)
)


class Kind(msgspec.Struct, frozen=True):
    """How a measure takes an operand from each row, and aggregates all operands."""

    aggregate: Callable[[Operand], Operand]
    operand: Operand | None = None
    """None, without a unit: the number in a field that the parameter has to name."""
    empty: int | None = None
    """The measure of no rows."""
    unit: Unit | None = None
    """What is counted once each; equal ones are removed before they are aggregated."""
    union: Union | None = None
    share: float | None = None
    """Of a percentile, from 0 to 1."""


def double(number: Operand) -> Operand:
    """A number as a double. One too small for a double is 0; the cast alone would fail."""
    return cast(case((func.abs(number) < _TINY, 0), else_=number), Double)


def _percentile(share: float) -> Kind:
    """A percentile, interpolated linearly between doubles."""
    return Kind(
        lambda number: func.percentile_cont(share).within_group(double(number)), share=share
    )


KINDS = {
    "count": Kind(lambda _: func.count(), _ROW, empty=0, union=_COUNT),
    "users": Kind(func.count, empty=0, unit="user"),
    "sessions": Kind(func.count, empty=0, unit="session"),
    "sum": Kind(lambda number: func.coalesce(func.sum(number), 0), empty=0, union=_SUM),
    "avg": Kind(func.avg),
    "min": Kind(func.min, union=_MIN),
    "max": Kind(func.max, union=_MAX),
    "p50": _percentile(0.5),
    "p90": _percentile(0.9),
    "p95": _percentile(0.95),
    "p99": _percentile(0.99),
}


class Measure(msgspec.Struct, frozen=True):
    """`count`, `users`, `sessions`, or a number of metadata, as in `sum:metadata.KEY`."""

    examples: ClassVar = ("users", "p90:metadata.amount")

    text: str
    name: str
    field: Field | None = None

    @classmethod
    def read(cls, text: str) -> "Measure":
        """Raises ValueError for an unknown measure, or a field that is missing or not allowed."""
        name, colon, rest = text.partition(":")
        kind = KINDS.get(decode(name))
        if kind is None or "," in text or ":" in rest:
            raise ValueError(
                f"it is one of {', '.join(KINDS)}, and those after `sessions` need a field, as "
                "in sum:metadata.KEY"
            )
        if kind.operand is not None or kind.unit is not None:
            if colon:
                raise ValueError(f"{name} takes no field")
            return cls(text, name)
        field = Field.read(rest) if colon else None
        if field is None or not field.keys:
            raise ValueError(f"{name} needs a number in metadata, as in {name}:metadata.KEY")
        return cls(text, decode(name), field)

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def operand(self) -> Operand:
        """What is taken from a row, of measures without a unit."""
        taken = self.field.number if self.field else self.kind.operand
        assert taken is not None  # noqa: S101 - `read` saw to it
        return taken

    def rows(
        self,
        conditions: Sequence[Condition],
        *columns: Operand,
        name: str = "operand",
        source: FromClause = raw_events,
    ) -> Statement:
        """The rows of `source` that meet the conditions: labelled columns, and the operand.

        The operand's column is called `name`.
        """
        if self.kind.unit:
            return members(self.kind.unit, conditions, *columns, name=name, source=source)
        return select(*columns, self.operand.label(name)).select_from(source).where(*conditions)

    def aggregated(self, rows: Statement, *labels: str) -> Statement:
        """The `labels` and the measure as `value`, for each group of rows with equal labels.

        `rows` has the columns `labels` and `operand`.
        """
        source = (rows.distinct() if self.kind.unit else rows).subquery("rows")
        columns = [source.c[label] for label in labels]
        value = self.kind.aggregate(source.c.operand).label("value")
        return select(*columns, value).group_by(*columns)


COUNT = Measure("count", "count")
USERS = Measure("users", "users")


def number(value: Decimal | float | None) -> Number:
    """A measured value for JSON: an int if it is whole, else a double; None if not finite."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else number(float(value))
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
