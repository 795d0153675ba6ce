"""Figures: what is remembered of the numbers in a field, so that sums, averages, extremes and
percentiles can be put together from days and hours.

They say to the digit what PostgreSQL says of the rows: a sum is exact, an average is rounded where
its is, percentiles are of the same doubles.
"""

import math
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
from analytics.queries.language.measures import EXACT, KINDS, Measure, Statement, added, double
from analytics.tables import raw_events

MAX_NUMBERS = 200_000
"""Different numbers of a day (or of what else is one place), up to which they are remembered one by
one: some 2 MB.
"""

FEW = 200
"""Numbers of a run up to which it is quicker to sort all than to look for those that matter."""

ARRAYS = 200
"""Bytes of a run besides its numbers."""

HALVES = 40
"""Steps of that looking, at most: of numbers that lie believably far apart a dozen are enough."""

_PAIR = np.dtype([("number", ">f8"), ("times", ">i4")])
"""A number and how often it is there, as `aggregated` packs them."""


class Instants(msgspec.Struct, frozen=True):
    """When events happened, as if it were a field: in microseconds since 1970, which are exact in
    doubles for as long as nobody asks for other centuries.
    """

    keys: tuple[str, ...] = ()

    @property
    def number(self) -> ColumnElement[Decimal]:
        return cast(func.extract("epoch", raw_events.c.timestamp) * 1_000_000, Numeric)


class Of(msgspec.Struct, frozen=True):
    """The numbers of which field, and whether each of them matters, as it does for percentiles."""

    field: Field | Instants
    each: bool

    @classmethod
    def measure(cls, measure: Measure) -> "Of | None":
        """What a measure is put together from; None for one that is not of numbers."""
        return cls(measure.field, measure.kind.share is not None) if measure.field else None


class Figures(msgspec.Struct, frozen=True):
    """How many numbers, their sum (which has as many digits after the point as PostgreSQL's) and
    their extremes.
    """

    size: ClassVar = 150
    """Bytes, roughly."""

    count: int
    sum: Decimal
    least: Decimal | None
    greatest: Decimal | None

    @classmethod
    def joined(cls, parts: Sequence["Figures"]) -> "Figures":
        least = [part.least for part in parts if part.least is not None]
        greatest = [part.greatest for part in parts if part.greatest is not None]
        total = added(part.sum for part in parts)
        return cls(
            sum(part.count for part in parts),
            total,
            min(least, default=None),
            max(greatest, default=None),
        )

    def measure(self, name: str) -> Decimal | None:
        """The measure of this name; but for a sum it is None where there are no numbers."""
        match name:
            case "sum":
                return self.sum
            case "avg":
                return divided(self.sum, self.count) if self.count else None
            case "min":
                return self.least
            case _:
                return self.greatest


class Run:
    """Numbers in ascending order, each once; and of each how many there are up to it, unless it is
    just its place.
    """

    __slots__ = ("count", "numbers", "upto")

    def __init__(self, pairs: "np.ndarray[Any, Any]") -> None:
        pairs = pairs[pairs["number"].argsort()]
        self.numbers: np.ndarray[Any, np.dtype[np.float64]] = pairs["number"].astype(np.float64)
        upto = pairs["times"].cumsum(dtype=np.int64)
        self.count = int(upto[-1])
        self.upto = (
            None if self.count == len(pairs) else upto.astype(np.min_scalar_type(self.count))
        )

    @property
    def size(self) -> int:
        """Bytes of what is in the arrays."""
        return self.numbers.nbytes + (0 if self.upto is None else self.upto.nbytes)

    def at(self, place: int) -> float:
        """The number at a place, counted from 0, each as often as it is there."""
        if self.upto is None:
            return float(self.numbers[place])
        return float(
            self.numbers[self.upto.searchsorted(self.upto.dtype.type(place), "right")]
        )  # of the same type, or all would be cast

    def before(self, at: int) -> int:
        """How many there are before the different number at a place."""
        return at if self.upto is None else int(self.upto[at - 1]) if at else 0

    def times(self, first: int, end: int) -> "np.ndarray[Any, Any]":
        """How often each of some different numbers is there."""
        if self.upto is None:
            return np.ones(end - first, np.int64)
        return np.diff(self.upto[first:end].astype(np.int64), prepend=self.before(first))


class Spread:
    """Numbers as doubles, in runs, which are put together no further than somebody looks."""

    __slots__ = ("runs",)

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs

    @classmethod
    def joined(cls, parts: Sequence["Spread"]) -> "Spread":
        return cls([run for part in parts for run in part.runs])

    @property
    def numbers(self) -> list[float]:
        """Each that there is, in no order."""
        return [number for run in self.runs for number in run.numbers.tolist()]

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return sum(ARRAYS + run.size for run in self.runs)

    def measure(self, name: str) -> float | None:
        """The percentile of this name, or None of no numbers: as `percentile_cont` interpolates, to
        the last bit where both round each step.
        """
        share, count = KINDS[name].share, sum(run.count for run in self.runs)
        assert share is not None  # noqa: S101 - `Of.measure` saw to it
        if not count:
            return None
        place = share * (count - 1)
        first = math.floor(place)
        low, high = self._at(share, first, math.ceil(place))
        return low if first == place else low + (place - first) * (high - low)

    def _at(self, share: float, first: int, second: int) -> tuple[float, float]:
        """The numbers at two neighbouring places, those of a share of all."""
        runs = self.runs
        if len(runs) == 1:
            return runs[0].at(first), runs[0].at(second)
        begins, ends = self._narrowed(share, first, second)
        found = np.concatenate(
            [run.numbers[begin:end] for run, begin, end in zip(runs, begins, ends, strict=True)]
        )
        times = np.concatenate(
            [run.times(begin, end) for run, begin, end in zip(runs, begins, ends, strict=True)]
        )
        order = found.argsort(kind="stable")
        less = sum(map(Run.before, runs, begins))
        low, high = found[
            order[times[order].cumsum().searchsorted([first - less, second - less], "right")]
        ].tolist()
        return low, high

    def _narrowed(self, share: float, first: int, second: int) -> tuple[list[int], list[int]]:
        """Where in each run the numbers begin and end that may be at these places, and so many more
        as are quick to sort.

        The places are between the least and the greatest of the numbers that are at the same share
        of a run; then halves are left out.
        """
        runs = self.runs
        begins, ends = [0] * len(runs), [len(run.numbers) for run in runs]
        if sum(ends) <= FEW * len(runs):
            return begins, ends
        places = [share * (run.count - 1) for run in runs]
        least = min(run.at(math.floor(place)) for run, place in zip(runs, places, strict=True))
        greatest = max(run.at(math.ceil(place)) for run, place in zip(runs, places, strict=True))
        begins, ends = (
            [int(run.numbers.searchsorted(least)) for run in runs],
            [int(run.numbers.searchsorted(greatest, "right")) for run in runs],
        )
        for _ in range(HALVES):
            if sum(ends) - sum(begins) <= FEW * len(runs):
                break
            middle = least / 2 + greatest / 2
            middles = [int(run.numbers.searchsorted(middle, "right")) for run in runs]
            upto = sum(map(Run.before, runs, middles))
            if upto > second:
                ends, greatest = middles, middle
            elif upto <= first:
                begins, least = middles, middle
            else:
                break
        return begins, ends


Figure = Figures | Spread
Groups = dict[str | None, Figure]
"""By the field's value; without one, the only one is None."""


def aggregated(rows: FromClause, place: str, of: Of) -> Statement:
    """A place, `key` and the figures of its numbers, from rows with a place, `key` and `number`:
    what `read` reads.

    Numbers one by one are packed with how often they are there; null in all groups of a place that
    has too many.
    """
    at, key, number = rows.c[place], rows.c.key, rows.c.number
    if not of.each:
        return select(
            at, key, func.count(number), func.sum(number), func.min(number), func.max(number)
        ).group_by(at, key)
    each = select(at, key, double(number).label("number")).subquery("doubles")
    pair = select(*each.c, func.count().label("times")).group_by(*each.c).subquery("pairs")
    packed = func.float8send(pair.c.number).op("||", return_type=LargeBinary())(
        func.int4send(cast(pair.c.times, Integer))
    )
    every = func.coalesce(
        func.string_agg(packed, literal(b"", LargeBinary)), literal(b"", LargeBinary)
    )
    few = func.sum(func.count()).over(partition_by=pair.c[place]) <= MAX_NUMBERS
    return select(pair.c[place], pair.c.key, case((few, every))).group_by(pair.c[place], pair.c.key)


def read(of: Of, *values: Any) -> Figure | None:
    """The figures that a row of `aggregated` says; None where there are too many numbers."""
    if not of.each:
        count, total, least, greatest = values
        return Figures(count, Decimal(0) if total is None else total, least, greatest)
    (packed,) = values
    return None if packed is None else Spread([Run(np.frombuffer(packed, _PAIR))] if packed else [])


def joined(figures: Sequence[Figure]) -> Figure:
    """One of several, all of the same kind."""
    return figures[0] if len(figures) == 1 else type(figures[0]).joined(figures)  # type: ignore[arg-type]


def added_up(buckets: Iterable[Iterable[tuple[str | None, Figure]]]) -> list[Groups]:
    """Of each bucket one for each group."""
    found = []
    for bucket in buckets:
        groups: defaultdict[str | None, list[Figure]] = defaultdict(list)
        for group, figure in bucket:
            groups[group].append(figure)
        found.append({group: joined(figures) for group, figures in groups.items()})
    return found


def whole(buckets: Iterable[Mapping[str | None, Figure]]) -> Groups:
    """Several buckets as one."""
    return added_up([chain.from_iterable(bucket.items() for bucket in buckets)])[0]


def divided(total: Decimal, count: int) -> Decimal:
    """A sum by how many there are, rounded where PostgreSQL's `avg` is (select_div_scale in its
    numeric.c): to 16 digits at least, in groups of four.
    """
    (weight, first), (count_weight, count_first) = _leading(total), _leading(Decimal(count))
    weight -= count_weight + (first <= count_first)
    scale = min(max(16 - 4 * weight, -_exponent(total), 0), 1000)
    numerator, denominator = total.copy_abs().as_integer_ratio()
    numerator, denominator = numerator * 10**scale, denominator * count
    quotient = EXACT.scaleb(Decimal((2 * numerator + denominator) // (2 * denominator)), -scale)
    return quotient.copy_sign(total)


def _leading(number: Decimal) -> tuple[int, int]:
    """The first digit that is not 0 if there were 10,000 of them, and at which power of that it
    stands.
    """
    if not number:
        return 0, 0
    weight = number.adjusted() // 4
    return weight, int(EXACT.scaleb(number.copy_abs(), -4 * weight))


def _exponent(number: Decimal) -> int:
    return int(number.as_tuple().exponent)
