"""Cells: a count and the set of people behind it, of each value of a dimension, in an hour or a
day, of an event or of several.

A row of `rollups` is an addend: the answer to a question is the sum of all rows that belong to it,
so that rows may be added up, in any order and at any time, without a change to any answer.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from pyroaring import BitMap

from analytics.derived.deltas import UNCOUNTED, Delta
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN

ANY = ""
"""Stands for every type or every action, which are never empty; as a key, for no dimension."""

MAX_VALUES = 5000
"""Values of a dimension in one row; a row with more is left out, which shows in the sums."""

MAX_NAMES = 300
"""Pairs of type and action in one set of rows up to which each has its dimensions."""


class Place(NamedTuple):
    """What a row is about. `start` is an hour since 1970 in UTC, a multiple of `span`."""

    span: int
    start: int
    key: str
    event_type: str
    event_action: str


class Row(NamedTuple):
    """A row's cells, packed: two lists (values, counts), and the people of each value as serialized
    bitmaps.
    """

    counts: bytes
    people: bytes


Values = dict[str | None, list[int]]
"""Value → everybody who acted, once for each event."""


class Cell(msgspec.Struct, gc=False):
    """How many events, by whom."""

    count: int
    people: BitMap

    def __repr__(self) -> str:
        return f"{self.count} events of {len(self.people)} people"


Cells = dict[Place, dict[str | None, Cell]]

_encoder = msgspec.msgpack.Encoder()
_counts = msgspec.msgpack.Decoder(tuple[list[str | None], list[int]])
_people = msgspec.msgpack.Decoder(list[bytes])

unpack_counts = _counts.decode
unpack_people = _people.decode


def pack(cells: Mapping[str | None, Cell]) -> Row:
    """A row of its cells."""
    counts = (list(cells), [cell.count for cell in cells.values()])
    return Row(
        _encoder.encode(counts),
        _encoder.encode([cell.people.serialize() for cell in cells.values()]),
    )


def unpack(row: Row) -> dict[str | None, Cell]:
    """The inverse of `pack`."""
    columns = zip(*unpack_counts(row.counts), unpack_people(row.people), strict=True)
    return {value: Cell(count, BitMap.deserialize(people)) for value, count, people in columns}


def gather(deltas: Iterable[Delta]) -> Cells:
    """All cells that deltas add to: of their hours and their days; of each event, of its type, of
    any; in all and by dimension.
    """
    people: defaultdict[Place, defaultdict[str | None, list[int]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for delta in deltas:
        for group in delta.groups:
            about = (group.event_type, group.event_action)
            people[Place(HOUR_SPAN, group.hour, ANY, *about)][None] += group.people
            for at, key in enumerate(delta.keys):
                values = people[Place(HOUR_SPAN, group.hour, key, *about)]
                for place, each in group.people_of(at).items():
                    if place != UNCOUNTED:
                        values[delta.words[place]] += each
    exactly = {
        place: {value: Cell(len(each), BitMap(each)) for value, each in values.items()}
        for place, values in people.items()
    }
    by_type = _wider(exactly, lambda place: place._replace(event_action=ANY))
    any_ = _wider(by_type, lambda place: place._replace(event_type=ANY))
    if len({place[3:] for place in exactly}) > MAX_NAMES:
        exactly, by_type = (
            {place: values for place, values in cells.items() if place.key == ANY}
            for cells in (exactly, by_type)
        )
    hours = exactly | by_type | any_
    days = _wider(
        hours,
        lambda place: place._replace(span=DAY_SPAN, start=place.start - place.start % DAY_SPAN),
    )
    return {place: values for place, values in (hours | days).items() if len(values) <= MAX_VALUES}


def _wider(cells: Cells, about: Callable[[Place], Place]) -> Cells:
    """The sums of cells by places that each hold several of theirs."""
    rows: defaultdict[Place, list[Mapping[str | None, Cell]]] = defaultdict(list)
    for place, values in cells.items():
        rows[about(place)].append(values)
    return {place: add_up(addends) for place, addends in rows.items()}


def add_up(rows: Iterable[Mapping[str | None, Cell]]) -> dict[str | None, Cell]:
    """The sum of rows about the same place."""
    addends: defaultdict[str | None, list[Cell]] = defaultdict(list)
    for cells in rows:
        for value, cell in cells.items():
            addends[value].append(cell)
    return {value: _sum(cells) for value, cells in addends.items()}


def _sum(cells: Sequence[Cell]) -> Cell:
    return (
        cells[0]
        if len(cells) == 1
        else Cell(sum(cell.count for cell in cells), BitMap.union(*(cell.people for cell in cells)))
    )
