"""Cohorts: who came back in which period, from the sets of actors of each period, wherever these
sets come from.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from pyroaring import BitMap


class Visits(NamedTuple):
    """Actors, by any numbering; period 0 is that of the first cohort."""

    earlier: BitMap
    """Those with a start event before the range."""
    started: Sequence[BitMap]
    """Those with a start event in each cohort's period."""
    returned: Sequence[BitMap]
    """Those with a return event in each period; as many more than there are cohorts as are looked
    ahead.
    """


def first(visits: Visits) -> Iterator[BitMap]:
    """Members of each cohort: those who had never started before."""
    seen = visits.earlier
    for started in visits.started:
        yield started - seen
        seen = seen | started


def recurring(visits: Visits) -> Iterator[BitMap]:
    """Members of each cohort: all who started in it."""
    yield from visits.started


def on(visits: Visits) -> list[BitMap]:
    """Who came back in each period."""
    return list(visits.returned)


def after(visits: Visits) -> list[BitMap]:
    """Who came back in each period or a later one."""
    return list(accumulate(reversed(visits.returned), BitMap.union))[::-1]


MODES = {"first": first, "recurring": recurring}
BOUNDS = {"on": on, "after": after}


def counts(visits: Visits, mode: str, bound: str) -> list[list[int]]:
    """Of each cohort: its size, then how many of its members came back in (or from) each period
    after its own.
    """
    back = BOUNDS[bound](visits)
    ahead = len(visits.returned) - len(visits.started)
    return [
        [
            len(members),
            *(
                members.intersection_cardinality(later)
                for later in back[cohort + 1 : cohort + 1 + ahead]
            ),
        ]
        for cohort, members in enumerate(MODES[mode](visits))
    ]
