"""Cells: a count and the set of people behind it, of each value of a dimension, in an hour or a day, of an event or of several.

A row of `rollups` is an addend: the answer to a question is the sum of all rows that belong to it, so that rows may be added up, in any
order and at any time, without a change to any answer.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from pyroaring import BitMap

from analytics.stores.rollups.deltas import UNCOUNTED, Delta

HOUR, DAY = 1, 24
"""Spans: hours that a row covers from its start on."""

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
    """A row's cells, packed: two lists (values, counts), and the people of each value as serialized bitmaps."""

    counts: bytes
    people: bytes


Values = dict[str | None, list[int]]
"""Value → everybody who acted, once for each event."""


class Cell:
    """How many events, by whom."""

    __slots__ = ("count", "people")

    def __init__(self, count: int, people: BitMap) -> None:
        self.count = count
        self.people = people

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and (self.count, self.people) == (other.count, other.people)

    __hash__ = None  # type: ignore[assignment]

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
    return Row(_encoder.encode(counts), _encoder.encode([cell.people.serialize() for cell in cells.values()]))


def unpack(row: Row) -> dict[str | None, Cell]:
    """The inverse of `pack`."""
    columns = zip(*unpack_counts(row.counts), unpack_people(row.people), strict=True)
    return {value: Cell(count, BitMap.deserialize(people)) for value, count, people in columns}


def gather(deltas: Iterable[Delta]) -> Cells:
    """All cells that deltas add to: of their hours and their days; of each event, of its type, of any; in all and by dimension."""
    leaves: defaultdict[tuple[str, int, str, str], defaultdict[str | None, list[int]]] = defaultdict(lambda: defaultdict(list))
    for delta in deltas:
        for group in delta.groups:
            name = (group.hour, group.event_type, group.event_action)
            leaves[ANY, *name][None] += group.people
            for key, places in zip(delta.keys, group.values, strict=True):
                _sort(leaves[key, *name], delta.words, places, group.people)
    crowded = len({leaf[2:] for leaf in leaves}) > MAX_NAMES
    addends: defaultdict[Place, defaultdict[str | None, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for (key, hour, event_type, event_action), values in leaves.items():
        exactly, by_type, any_ = (event_type, event_action), (event_type, ANY), (ANY, ANY)
        cells = {value: Cell(len(people), BitMap(people)) for value, people in values.items()}
        for span in (HOUR, DAY):
            for about in (any_,) if crowded and key else (exactly, by_type, any_):
                target = addends[Place(span, hour - hour % span, key, *about)]
                for value, cell in cells.items():
                    target[value].append(cell)
    return {place: {value: _sum(cells) for value, cells in values.items()} for place, values in addends.items() if len(values) <= MAX_VALUES}


def _sum(cells: Sequence[Cell]) -> Cell:
    return cells[0] if len(cells) == 1 else Cell(sum(cell.count for cell in cells), BitMap.union(*(cell.people for cell in cells)))


def _sort(target: dict[str | None, list[int]], words: Sequence[str | None], places: Sequence[int], people: Sequence[int]) -> None:
    """People to their values."""
    for place, person in zip(places, people, strict=True):
        if place != UNCOUNTED:
            target[words[place]].append(person)


def add_up(rows: Iterable[Mapping[str | None, Cell]]) -> dict[str | None, Cell]:
    """The sum of rows about the same place."""
    addends: defaultdict[str | None, list[Cell]] = defaultdict(list)
    for cells in rows:
        for value, cell in cells.items():
            addends[value].append(cell)
    return {value: _sum(cells) for value, cells in addends.items()}
