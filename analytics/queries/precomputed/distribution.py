"""All numbers of a field, sorted and packed, for percentiles over many days without sorting all."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.queries.language.measures import KINDS

SORTED_AT_ONCE = 200
"""Numbers a run up to which sorting all is quicker than narrowing down to those that matter."""

RUN_OVERHEAD_BYTES = 200
"""Bytes of a run besides its numbers."""

MAX_HALVINGS = 40
"""Steps of narrowing down, at most. A dozen are enough for numbers of a usual spread."""

PAIR = np.dtype([("number", ">f8"), ("times", ">i4")])
"""A number and how often it occurs, as `summaries.summarized` packs them."""


class SortedRun:
    """Distinct numbers in ascending order, with how often each occurs."""

    __slots__ = ("count", "numbers", "up_to")

    def __init__(self, pairs: NDArray[Any]) -> None:
        """`pairs` are numbers with how often each occurs (PAIR), in any order."""
        pairs = pairs[pairs["number"].argsort()]
        self.numbers: NDArray[np.float64] = pairs["number"].astype(np.float64)
        up_to = pairs["times"].cumsum(dtype=np.int64)
        self.count = int(up_to[-1])
        """How many numbers, repeats included."""
        narrow = np.min_scalar_type(self.count)
        self.up_to = None if self.count == len(pairs) else up_to.astype(narrow)
        """How many numbers are no greater than each. None without repeats: it is index + 1."""

    @property
    def size_bytes(self) -> int:
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
    def size_bytes(self) -> int:
        """Bytes, roughly."""
        return sum(RUN_OVERHEAD_BYTES + run.size_bytes for run in self.runs)

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
