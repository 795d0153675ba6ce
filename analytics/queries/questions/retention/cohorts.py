"""Counts who came back in which period, from the sets of actors of each period."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from pyroaring import BitMap


class PeriodActors(NamedTuple):
    """Sets of actors, numbered in any way; period 0 is that of the first cohort."""

    earlier: BitMap
    """Those with a start event before the range."""
    started: Sequence[BitMap]
    """Those with a start event in each cohort's period."""
    returned: Sequence[BitMap]
    """Those with a return event in each period: the cohorts' and the later ones asked for."""


def first(actors: PeriodActors) -> Iterator[BitMap]:
    """The members of each cohort: those who had never started before."""
    seen = actors.earlier
    for started in actors.started:
        yield started - seen
        seen = seen | started


def recurring(actors: PeriodActors) -> Iterator[BitMap]:
    """The members of each cohort: all who started in its period."""
    yield from actors.started


def on(actors: PeriodActors) -> list[BitMap]:
    """Who came back in each period."""
    return list(actors.returned)


def after(actors: PeriodActors) -> list[BitMap]:
    """Who came back in each period or a later one."""
    return list(accumulate(reversed(actors.returned), BitMap.union))[::-1]


MODES = {"first": first, "recurring": recurring}
BOUNDS = {"on": on, "after": after}


def counts(actors: PeriodActors, mode: str, bound: str) -> list[list[int]]:
    """For each cohort: its size, then how many members came back in each later period.

    With `bound` "after": in that period or a later one.
    """
    returned = BOUNDS[bound](actors)
    periods = len(actors.returned) - len(actors.started)
    result = []
    for cohort, members in enumerate(MODES[mode](actors)):
        later = returned[cohort + 1 : cohort + 1 + periods]
        result.append([len(members), *map(members.intersection_cardinality, later)])
    return result
