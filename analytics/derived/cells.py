"""Cells: the count of events and the set of people for one value of a dimension.

A row of `rollups` holds the cells of one hour or day and of one event name (or of several, by ANY).
Rows are addends: an answer is the sum of all rows of its key. So rows may be merged in any order
and at any time without changing an answer.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from pyroaring import BitMap

from analytics.derived.deltas import UNCOUNTED, Delta
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN

ANY = ""
"""Stands for every type or every action, which are never empty; as a `key`, for no dimension."""

MAX_VALUES = 5000
"""Values of a dimension in one row. A row with more is left out; the sums then show the gap."""

MAX_EXACT_NAMES = 300
"""Pairs of type and action up to which each pair has rows by dimension.

With more pairs, only the rows over all types and actions have dimensions.
"""


class RollupKey(NamedTuple):
    """What a row is about. `start` is an hour since 1970 in UTC, a multiple of `span`."""

    span: int
    start: int
    key: str
    """The dimension, a key of metadata; ANY for no dimension."""
    event_type: str
    event_action: str


class Row(NamedTuple):
    """The cells of one row, packed with msgpack.

    `counts` is a pair of lists (values, counts); `people` a list of serialized bitmaps, one for
    each value in the same order.
    """

    counts: bytes
    people: bytes


class Cell(msgspec.Struct, gc=False):
    """How many events, and the numbers of the people who sent them."""

    count: int
    people: BitMap

    def __repr__(self) -> str:
        return f"{self.count} events of {len(self.people)} people"


Cells = dict[RollupKey, dict[str | None, Cell]]
"""The cells of each row, by value of its dimension; the value None stands for "absent"."""

_encoder = msgspec.msgpack.Encoder()
_counts = msgspec.msgpack.Decoder(tuple[list[str | None], list[int]])
_people = msgspec.msgpack.Decoder(list[bytes])

unpack_counts = _counts.decode
unpack_people = _people.decode


def pack(cells: Mapping[str | None, Cell]) -> Row:
    """Cells → a row."""
    counts = (list(cells), [cell.count for cell in cells.values()])
    people = [cell.people.serialize() for cell in cells.values()]
    return Row(_encoder.encode(counts), _encoder.encode(people))


def unpack(row: Row) -> dict[str | None, Cell]:
    """A row → its cells, the inverse of `pack`."""
    columns = zip(*unpack_counts(row.counts), unpack_people(row.people), strict=True)
    return {value: Cell(count, BitMap.deserialize(people)) for value, count, people in columns}


def gather(deltas: Iterable[Delta]) -> Cells:
    """All cells that deltas add to.

    Each event counts in its hour and its day; under its own name, its type and any type; in total
    and once for each dimension.
    """
    exactly = _count(deltas)
    by_type = _widen(exactly, lambda key: key._replace(event_action=ANY))
    overall = _widen(by_type, lambda key: key._replace(event_type=ANY))
    if len({(key.event_type, key.event_action) for key in exactly}) > MAX_EXACT_NAMES:
        exactly, by_type = _totals(exactly), _totals(by_type)
    hours = exactly | by_type | overall
    days = _widen(hours, lambda key: key._replace(span=DAY_SPAN, start=_day_start(key)))
    return {key: values for key, values in (hours | days).items() if len(values) <= MAX_VALUES}


def _count(deltas: Iterable[Delta]) -> Cells:
    """The cells of each hour and exact event name."""
    people: defaultdict[RollupKey, defaultdict[str | None, list[int]]]
    people = defaultdict(lambda: defaultdict(list))
    for delta in deltas:
        for group in delta.groups:
            name = (group.event_type, group.event_action)
            people[RollupKey(HOUR_SPAN, group.hour, ANY, *name)][None] += group.people
            for dimension, key in enumerate(delta.keys):
                values = people[RollupKey(HOUR_SPAN, group.hour, key, *name)]
                for position, numbers in group.people_of(dimension).items():
                    if position != UNCOUNTED:
                        values[delta.values[position]] += numbers
    return {
        key: {value: Cell(len(numbers), BitMap(numbers)) for value, numbers in values.items()}
        for key, values in people.items()
    }


def _totals(cells: Cells) -> Cells:
    """Only the rows without a dimension."""
    return {key: values for key, values in cells.items() if key.key == ANY}


def _day_start(key: RollupKey) -> int:
    return key.start - key.start % DAY_SPAN


def _widen(cells: Cells, wider: Callable[[RollupKey], RollupKey]) -> Cells:
    """The sums of rows under keys that each cover several of theirs."""
    rows: defaultdict[RollupKey, list[Mapping[str | None, Cell]]] = defaultdict(list)
    for key, values in cells.items():
        rows[wider(key)].append(values)
    return {key: add_up(addends) for key, addends in rows.items()}


def add_up(rows: Iterable[Mapping[str | None, Cell]]) -> dict[str | None, Cell]:
    """The sum of rows with the same key."""
    addends: defaultdict[str | None, list[Cell]] = defaultdict(list)
    for cells in rows:
        for value, cell in cells.items():
            addends[value].append(cell)
    return {value: _sum(cells) for value, cells in addends.items()}


def _sum(cells: Sequence[Cell]) -> Cell:
    if len(cells) == 1:
        return cells[0]
    return Cell(sum(cell.count for cell in cells), BitMap.union(*(cell.people for cell in cells)))
