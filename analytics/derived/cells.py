"""Cells: the count of events and the set of people for one value of a dimension.

A row of `rollups` holds the cells of one hour or day and of one event name (or of several, by ANY).
Rows are addends: an answer is the sum of all rows of its key. So rows may be merged in any order
and at any time without changing an answer.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from pyroaring import BitMap

from analytics.derived.deltas import UNCOUNTED, Delta, EventGroup
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN

ANY = ""
"""Stands for every type or every action, which are never empty; as a `key`, for no dimension."""

MAX_VALUES = 5000
"""Values of a dimension in one row. A row with more is empty; the sums then show the gap."""

MAX_EXACT_NAMES = 300
"""Pairs of type and action up to which each pair has rows by dimension.

With more pairs, only the rows over all types and actions have dimensions.
"""

MAX_NAMES = 2000
"""Pairs of type and action of a project and UTC day up to which they have rows of their own.

A day with more is *nameless*: it has only the rows over all types and actions, in its hours too.
Whoever asks for names then reads raw rows.
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


Groups = Sequence[tuple[Delta, EventGroup]]
"""Groups of events, each with the delta that it is in."""


def gather(deltas: Iterable[Delta], nameless: Collection[int] = ()) -> Cells:
    """All cells that deltas add to. `nameless` are days by their first hours.

    Each event counts in its hour and its day; under its own name, its type and any type; in total
    and once for each dimension.
    """
    named: list[tuple[Delta, EventGroup]] = []
    others: list[tuple[Delta, EventGroup]] = []
    for delta in deltas:
        for group in delta.groups:
            (others if _day_start(group.hour) in nameless else named).append((delta, group))
    hours = _named(named) | _count(others, names=False)
    days = _widen(hours, lambda key: key._replace(span=DAY_SPAN, start=_day_start(key.start)))
    return {key: empty_if_large(values) for key, values in (hours | days).items()}


def empty_if_large(values: dict[str | None, Cell]) -> dict[str | None, Cell]:
    """A row as it is, or an empty one in place of one with more than MAX_VALUES values."""
    return values if len(values) <= MAX_VALUES else {}


def nameless_days(deltas: Iterable[Delta]) -> set[int]:
    """The days that deltas alone make nameless, by their first hours."""
    names: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
    for delta in deltas:
        for group in delta.groups:
            names[_day_start(group.hour)].add((group.event_type, group.event_action))
    return {day for day, each in names.items() if len(each) > MAX_NAMES}


def too_many_names(cells: Cells) -> bool:
    """Whether the cells of one day have more names than MAX_NAMES."""
    names = {(key.event_type, key.event_action) for key in cells if ANY not in key[3:]}
    return len(names) > MAX_NAMES


def without_names(cells: Cells) -> Cells:
    """The rows over all types and actions."""
    return {key: values for key, values in cells.items() if key.event_type == ANY}


def _named(groups: Groups) -> Cells:
    """The cells of each hour under all three names; those of dimensions for few names only."""
    many = len({(group.event_type, group.event_action) for _, group in groups}) > MAX_EXACT_NAMES
    exactly = _count(groups, dimensions=not many)
    by_type = _widen(exactly, lambda key: key._replace(event_action=ANY))
    if many:
        return exactly | by_type | _count(groups, names=False)
    return exactly | by_type | _widen(by_type, lambda key: key._replace(event_type=ANY))


def _count(groups: Groups, *, names: bool = True, dimensions: bool = True) -> Cells:
    """The cells of each hour, under exact names or under any, with dimensions or without."""
    people: defaultdict[RollupKey, defaultdict[str | None, list[int]]]
    people = defaultdict(lambda: defaultdict(list))
    for delta, group in groups:
        name = (group.event_type, group.event_action) if names else (ANY, ANY)
        people[RollupKey(HOUR_SPAN, group.hour, ANY, *name)][None] += group.people
        for dimension, key in enumerate(delta.keys if dimensions else ()):
            values = people[RollupKey(HOUR_SPAN, group.hour, key, *name)]
            for position, numbers in group.people_of(dimension).items():
                if position != UNCOUNTED:
                    values[delta.values[position]] += numbers
    return {
        key: {value: Cell(len(numbers), BitMap(numbers)) for value, numbers in values.items()}
        for key, values in people.items()
    }


def _day_start(hour: int) -> int:
    return hour - hour % DAY_SPAN


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
