"""Deltas: what one storing transaction adds to the rollups, one compact row for each project.

Compaction later moves deltas into `rollups`; until then questions read both. A delta holds people
as numbers and values of dimensions as positions in a list, so reading one needs no other table.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from analytics.derived.instants import hour_of
from analytics.events import Event

MAX_VALUE_CHARACTERS = 255
"""A longer value of a dimension is not counted; the sums show it, and questions then read raw rows.
"""

UNCOUNTED = -1
"""The position of a value that is not counted: not text, or too long."""

NOT_TEXT = b""
"""Stands for a value of metadata that is not text."""


class EventGroup(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Events of one hour and one name: who acted, and the values of their dimensions.

    `hour` counts since 1970 in UTC. `positions` holds, for each dimension, the position of each
    event's value in `Delta.values`; a single position where all events have the same value.
    """

    hour: int
    event_type: str
    event_action: str
    people: list[int]
    positions: list[int | list[int]]

    def people_of(self, dimension: int) -> Mapping[int, list[int]]:
        """Who acted, by the position of their value of a dimension."""
        positions = self.positions[dimension]
        if isinstance(positions, int):
            return {positions: self.people}
        people: defaultdict[int, list[int]] = defaultdict(list)
        for position, person in zip(positions, self.people, strict=True):
            people[position].append(person)
        return people


class Delta(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The events of one project.

    `keys` are the dimensions, `values` their distinct values; None stands for an absent value.
    """

    keys: Sequence[str]
    values: Sequence[str | None]
    groups: list[EventGroup]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Delta)

pack = _encoder.encode
unpack = _decoder.decode


class Dimensions:
    """The keys of metadata that are dimensions. Reads their values without decoding the rest."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        names = [f"f{position}" for position in range(len(keys))]
        rename = dict(zip(names, keys, strict=True))
        texts = [(name, str | None, None) for name in names]
        anything = [(name, Any, None) for name in names]
        self._texts = msgspec.json.Decoder(
            msgspec.defstruct("Texts", texts, rename=rename, gc=False)
        )
        self._anything = msgspec.json.Decoder(
            msgspec.defstruct("Anything", anything, rename=rename)
        )

    def values(self, metadata: bytes) -> tuple[str | bytes | None, ...]:
        """The values in the order of the keys.

        Text as it is, None for an absent key or null, NOT_TEXT for anything else.
        """
        try:
            return msgspec.structs.astuple(self._texts.decode(metadata))
        except msgspec.ValidationError:
            values = msgspec.structs.astuple(self._anything.decode(metadata))
            return tuple(
                value if value is None or isinstance(value, str) else NOT_TEXT for value in values
            )


class ValueIndex(dict[str | bytes | None, int]):
    """Each value seen → its position in `values`; UNCOUNTED for what is not text or too long."""

    def __init__(self) -> None:
        self.values_seen: list[str | None] = []

    def __missing__(self, value: str | bytes | None) -> int:
        if isinstance(value, bytes) or (value is not None and len(value) > MAX_VALUE_CHARACTERS):
            return UNCOUNTED
        position = self[value] = len(self.values_seen)
        self.values_seen.append(value)
        return position

    def positions(self, column: Sequence[str | bytes | None]) -> int | list[int]:
        """The positions of a column; one position where all its values are the same.

        That is the usual case of a dimension that no event has.
        """
        if column.count(column[0]) == len(column):
            return self[column[0]]
        return [self[value] for value in column]


def build(
    events: Sequence[Event], numbers: Sequence[int], dimensions: Dimensions
) -> dict[str, Delta]:
    """The delta of each project; `numbers[i]` is the number of the actor of `events[i]`."""
    groups: dict[
        tuple[str, int, str, str], tuple[list[int], list[tuple[str | bytes | None, ...]]]
    ] = {}
    for event, number in zip(events, numbers, strict=True):
        name = (event.project, hour_of(event.timestamp), event.event_type, event.event_action)
        group = groups.get(name)
        if group is None:
            group = groups[name] = ([], [])
        group[0].append(number)
        group[1].append(dimensions.values(event.metadata))
    built: dict[str, Delta] = {}
    indexes: dict[str, ValueIndex] = {}
    for (project, hour, type_, action), (people, rows) in groups.items():
        index = indexes.setdefault(project, ValueIndex())
        delta = built.setdefault(project, Delta(dimensions.keys, index.values_seen, []))
        positions = [index.positions(column) for column in zip(*rows, strict=True)]
        delta.groups.append(EventGroup(hour, type_, action, people, positions))
    return built


def count_events(delta: Delta) -> int:
    """How many events a delta counts."""
    return sum(len(group.people) for group in delta.groups)


def count_cells(delta: Delta) -> int:
    """How many cells a delta has at most, under one name and in one span of time."""
    most = len(delta.values)
    return sum(
        1 + sum(1 if isinstance(each, int) else min(len(each), most) for each in group.positions)
        for group in delta.groups
    )
