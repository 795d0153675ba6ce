"""Summaries of the numbers in a field, which can be cached for a day and combined over many days.

An Aggregate gives sums, averages and extremes; a Distribution gives percentiles. Both equal what
PostgreSQL computes from the rows, to the last digit: sums are exact, averages are rounded as
PostgreSQL rounds them, and percentiles interpolate the same doubles.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray
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
from analytics.queries.language.measures import EXACT, KINDS, Measure, Statement, added, double
from analytics.tables import raw_events

MAX_NUMBERS = 200_000
"""Distinct numbers of one day (or other label) up to which a distribution is kept: some 2 MB."""

SORTED_AT_ONCE = 200
"""Numbers a run up to which sorting all is quicker than narrowing down to those that matter."""

RUN_OVERHEAD_BYTES = 200
"""Bytes of a run besides its numbers."""

MAX_HALVINGS = 40
"""Steps of narrowing down, at most. A dozen are enough for numbers of a usual spread."""

_PAIR = np.dtype([("number", ">f8"), ("times", ">i4")])
"""A number and how often it occurs, as `summarized` packs them."""


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

    size: ClassVar = 150
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


class SortedRun:
    """Distinct numbers in ascending order, with how often each occurs."""

    __slots__ = ("count", "numbers", "up_to")

    def __init__(self, pairs: NDArray[Any]) -> None:
        """`pairs` are numbers with how often each occurs (_PAIR), in any order."""
        pairs = pairs[pairs["number"].argsort()]
        self.numbers: NDArray[np.float64] = pairs["number"].astype(np.float64)
        up_to = pairs["times"].cumsum(dtype=np.int64)
        self.count = int(up_to[-1])
        """How many numbers, repeats included."""
        narrow = np.min_scalar_type(self.count)
        self.up_to = None if self.count == len(pairs) else up_to.astype(narrow)
        """How many numbers are no greater than each. None without repeats: it is index + 1."""

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return self.numbers.nbytes + (0 if self.up_to is None else self.up_to.nbytes)

    def at(self, rank: int) -> float:
        """The number at a rank from 0, repeats included."""
        if self.up_to is None:
            return float(self.numbers[rank])
        # A key of another type would make searchsorted cast the whole array.
        key = self.up_to.dtype.type(rank)
        return float(self.numbers[self.up_to.searchsorted(key, "right")])

    def before(self, index: int) -> int:
        """How many numbers, repeats included, are before the distinct number at an index."""
        return index if self.up_to is None else int(self.up_to[index - 1]) if index else 0

    def times(self, first: int, end: int) -> NDArray[Any]:
        """How often each of some distinct numbers occurs."""
        if self.up_to is None:
            return np.ones(end - first, np.int64)
        return np.diff(self.up_to[first:end].astype(np.int64), prepend=self.before(first))


class Distribution:
    """All numbers, as doubles, in sorted runs, merged only as far as a percentile needs."""

    __slots__ = ("runs",)

    def __init__(self, runs: Sequence[SortedRun]) -> None:
        self.runs = runs

    @classmethod
    def combined(cls, parts: Sequence["Distribution"]) -> "Distribution":
        return cls([run for part in parts for run in part.runs])

    @property
    def numbers(self) -> list[float]:
        """Each number of each run once, in no order."""
        return [number for run in self.runs for number in run.numbers.tolist()]

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return sum(RUN_OVERHEAD_BYTES + run.size for run in self.runs)

    def measure(self, name: str) -> float | None:
        """A percentile by its measure's name (`p95`); None without numbers.

        The same double as PostgreSQL's `percentile_cont`: the same interpolation in the same order.
        """
        share, count = KINDS[name].share, sum(run.count for run in self.runs)
        assert share is not None  # noqa: S101 - `NumberSpec.of` saw to it
        if not count:
            return None
        rank = share * (count - 1)
        first = math.floor(rank)
        low, high = self._at(share, first, math.ceil(rank))
        return low if first == rank else low + (rank - first) * (high - low)

    def _at(self, share: float, first: int, second: int) -> tuple[float, float]:
        """The numbers at two neighbouring ranks, those of a share of all numbers."""
        runs = self.runs
        if len(runs) == 1:
            return runs[0].at(first), runs[0].at(second)
        begins, ends = self._narrowed(share, first, second)
        slices = list(zip(runs, begins, ends, strict=True))
        numbers = np.concatenate([run.numbers[begin:end] for run, begin, end in slices])
        times = np.concatenate([run.times(begin, end) for run, begin, end in slices])
        order = numbers.argsort(kind="stable")
        # All numbers left out on the low side are less, so the ranks wanted move down by their
        # count. The first number with more numbers up to it than its rank is the one at that rank.
        less = sum(map(SortedRun.before, runs, begins))
        up_to = times[order].cumsum()
        low, high = numbers[order[up_to.searchsorted([first - less, second - less], "right")]]
        return float(low), float(high)

    def _narrowed(self, share: float, first: int, second: int) -> tuple[list[int], list[int]]:
        """Where in each run the numbers begin and end that may be at one of two ranks.

        The result stays exact because only numbers that cannot be at a rank are left out. It costs
        O(runs × log(numbers)) a halving, where sorting would take all numbers.
        """
        runs = self.runs
        begins, ends = [0] * len(runs), [len(run.numbers) for run in runs]
        few = SORTED_AT_ONCE * len(runs)
        if sum(ends) <= few:
            return begins, ends
        # Each run's own numbers at this share enclose the two ranks. No run has more numbers below
        # `least` than its own rank, and these ranks add up to at most `first`; so from above.
        ranks = [share * (run.count - 1) for run in runs]
        least = min(run.at(math.floor(rank)) for run, rank in zip(runs, ranks, strict=True))
        greatest = max(run.at(math.ceil(rank)) for run, rank in zip(runs, ranks, strict=True))
        begins = [int(run.numbers.searchsorted(least)) for run in runs]
        ends = [int(run.numbers.searchsorted(greatest, "right")) for run in runs]
        for _ in range(MAX_HALVINGS):
            if sum(ends) - sum(begins) <= few:
                break
            middle = least / 2 + greatest / 2  # not (least + greatest) / 2, which may overflow
            middles = [int(run.numbers.searchsorted(middle, "right")) for run in runs]
            up_to = sum(map(SortedRun.before, runs, middles))
            if up_to > second:  # both ranks are at numbers up to the middle
                ends, greatest = middles, middle
            elif up_to <= first:  # both ranks are at greater numbers
                begins, least = middles, middle
            else:  # one rank on each side: nothing more can be left out
                break
        return begins, ends


Summary = Aggregate | Distribution
SummaryByGroup = dict[str | None, Summary]
"""By the value of the field to group by; without one the only key is None."""


def summarized(rows: FromClause, label: str, numbers: NumberSpec) -> Statement:
    """A summary for each label and group: a statement whose rows `read` decodes.

    `rows` have the columns `label`, `key` and `number`. A distribution is packed as one string of
    _PAIRs; it is null in all groups of a label with more than MAX_NUMBERS.
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
    """The summary in a row of `summarized`; None where there were too many numbers."""
    if not numbers.needs_all:
        count, total, least, greatest = values
        return Aggregate(count, Decimal(0) if total is None else total, least, greatest)
    (packed,) = values
    if packed is None:
        return None
    return Distribution([SortedRun(np.frombuffer(packed, _PAIR))] if packed else [])


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
