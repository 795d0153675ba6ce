"""Summaries of the numbers in a field, which can be cached for a day and combined over many days.

An Aggregate gives sums, averages and extremes; a Distribution gives percentiles. Both equal what
PostgreSQL computes from the rows, to the last digit: sums are exact, averages are rounded as
PostgreSQL rounds them, and percentiles interpolate the same doubles.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, ClassVar

import msgspec
import numpy as np
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    LargeBinary,
    Numeric,
    case,
    cast,
    func,
    literal,
    select,
)

from analytics.queries.language.fields import Field
from analytics.queries.language.measures import EXACT, Measure, Statement, added, double
from analytics.queries.precomputed.distribution import PAIR, Distribution, SortedRun
from analytics.tables import raw_events

MAX_NUMBERS = 200_000
"""Distinct numbers of one day (or other label) up to which a distribution is kept: some 2 MB."""


class TimestampField(msgspec.Struct, frozen=True):
    """The timestamp of an event as if it were a field: microseconds since 1970.

    Doubles hold them exactly only for the centuries around now.
    """

    keys: tuple[str, ...] = ()

    @property
    def number(self) -> ColumnElement[Decimal]:
        return cast(func.extract("epoch", raw_events.c.timestamp) * 1_000_000, Numeric)


class NumberSpec(msgspec.Struct, frozen=True):
    """Which numbers to summarize, and how."""

    field: Field | TimestampField
    needs_all: bool
    """Whether every number matters, as for percentiles: a Distribution, else an Aggregate."""

    @classmethod
    def of(cls, measure: Measure) -> "NumberSpec | None":
        """What a measure needs; None for one that is not about numbers."""
        return cls(measure.field, measure.kind.share is not None) if measure.field else None


class Aggregate(msgspec.Struct, frozen=True):
    """How many numbers, their sum and their extremes."""

    size_bytes: ClassVar = 150
    """Bytes, roughly."""

    count: int
    sum: Decimal
    """Exact, with as many digits after the point as PostgreSQL's `sum` has."""
    least: Decimal | None
    greatest: Decimal | None

    @classmethod
    def combined(cls, parts: Sequence["Aggregate"]) -> "Aggregate":
        least = [part.least for part in parts if part.least is not None]
        greatest = [part.greatest for part in parts if part.greatest is not None]
        return cls(
            sum(part.count for part in parts),
            added(part.sum for part in parts),
            min(least, default=None),
            max(greatest, default=None),
        )

    def measure(self, name: str) -> Decimal | None:
        """`sum`, `avg`, `min` or `max`. Without numbers the sum is 0 and all others are None."""
        match name:
            case "sum":
                return self.sum
            case "avg":
                return average(self.sum, self.count) if self.count else None
            case "min":
                return self.least
            case _:
                return self.greatest


Summary = Aggregate | Distribution
SummaryByGroup = dict[str | None, Summary]
"""By the value of the field to group by; without one the only key is None."""


def summarized(rows: FromClause, label: str, numbers: NumberSpec) -> Statement:
    """A summary for each label and group: a statement whose rows `read` decodes.

    `rows` have the columns `label`, `key` and `number`. A distribution is packed as one string of
    PAIRs; it is null in all groups of a label with more than MAX_NUMBERS.
    """
    place, key, number = rows.c[label], rows.c.key, rows.c.number
    if not numbers.needs_all:
        aggregates = (func.count(number), func.sum(number), func.min(number), func.max(number))
        return select(place, key, *aggregates).group_by(place, key)
    each = select(place, key, double(number).label("number")).subquery("doubles")
    pair = select(*each.c, func.count().label("times")).group_by(*each.c).subquery("pairs")
    packed = func.float8send(pair.c.number).op("||", return_type=LargeBinary())(
        func.int4send(cast(pair.c.times, Integer))
    )
    every = func.string_agg(packed, literal(b"", LargeBinary))
    every = func.coalesce(every, literal(b"", LargeBinary))
    few = func.sum(func.count()).over(partition_by=pair.c[label]) <= MAX_NUMBERS
    return select(pair.c[label], pair.c.key, case((few, every))).group_by(pair.c[label], pair.c.key)


def read(numbers: NumberSpec, *values: Any) -> Summary | None:
    """The summary in a row of `summarized`; None where there were too many numbers.

    Values after those of the summary are ignored.
    """
    if not numbers.needs_all:
        count, total, least, greatest, *_ = values
        return Aggregate(count, Decimal(0) if total is None else total, least, greatest)
    packed, *_ = values
    if packed is None:
        return None
    return Distribution([SortedRun(np.frombuffer(packed, PAIR))] if packed else [])


def combined(parts: Sequence[Summary]) -> Summary:
    """One summary of several of the same kind."""
    return parts[0] if len(parts) == 1 else type(parts[0]).combined(parts)  # type: ignore[arg-type]


def combined_by_group(
    buckets: Iterable[Iterable[tuple[str | None, Summary]]],
) -> list[SummaryByGroup]:
    """For each bucket one summary a group."""
    result: list[SummaryByGroup] = []
    for bucket in buckets:
        groups: defaultdict[str | None, list[Summary]] = defaultdict(list)
        for group, summary in bucket:
            groups[group].append(summary)
        result.append({group: combined(parts) for group, parts in groups.items()})
    return result


def merged(buckets: Iterable[Mapping[str | None, Summary]]) -> SummaryByGroup:
    """Several buckets as one."""
    return combined_by_group([chain.from_iterable(bucket.items() for bucket in buckets)])[0]


def average(total: Decimal, count: int) -> Decimal:
    """`total / count`, with as many digits as PostgreSQL's `avg` gives.

    PostgreSQL keeps numbers in base 10,000 and chooses the quotient's scale in select_div_scale
    (numeric.c): at least 16 significant digits, in groups of four, and no fewer than `total` has.
    """
    (weight, first), (count_weight, count_first) = _leading(total), _leading(Decimal(count))
    weight -= count_weight + (first <= count_first)
    scale = min(max(16 - 4 * weight, -_exponent(total), 0), 1000)
    numerator, denominator = total.copy_abs().as_integer_ratio()
    numerator, denominator = numerator * 10**scale, denominator * count
    # Half the denominator more rounds half away from zero, as PostgreSQL does.
    rounded = (2 * numerator + denominator) // (2 * denominator)
    return EXACT.scaleb(Decimal(rounded), -scale).copy_sign(total)


def _leading(number: Decimal) -> tuple[int, int]:
    """Weight and value of the first base-10,000 digit that is not 0, as numeric.c has it."""
    if not number:
        return 0, 0
    weight = number.adjusted() // 4
    return weight, int(EXACT.scaleb(number.copy_abs(), -4 * weight))


def _exponent(number: Decimal) -> int:
    return int(number.as_tuple().exponent)
