"""Deltas: what one storing transaction adds to the rollups, in one compact row per project, taken
up by compaction later.

People are numbers already, and the values of dimensions are positions in a list of words, so that
who reads a delta looks nothing up.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from analytics.events import Event

MAX_VALUE = 255
"""Characters of a dimension's value; a longer one is not counted, which shows in the sums, and its
questions go to the raw rows.
"""

UNCOUNTED = -1
NO_TEXT = b""


class Group(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Events of one hour (since 1970, UTC) and name: who acted, and for each dimension the position
    of each event's value, one where all have the same.
    """

    hour: int
    event_type: str
    event_action: str
    people: list[int]
    values: list[int | list[int]]

    def people_of(self, dimension: int) -> Mapping[int, list[int]]:
        """Who acted, by the position of the value that their events have."""
        places = self.values[dimension]
        if isinstance(places, int):
            return {places: self.people}
        found: defaultdict[int, list[int]] = defaultdict(list)
        for place, person in zip(places, self.people, strict=True):
            found[place].append(person)
        return found


class Delta(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Events of one project. `words` are values of dimensions; an absent value is the word None."""

    keys: Sequence[str]
    words: Sequence[str | None]
    groups: list[Group]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Delta)

pack = _encoder.encode
unpack = _decoder.decode


class Dimensions:
    """Which keys of metadata are dimensions, and how their values are found in an event's JSON
    without decoding the rest of it.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        names = [f"f{place}" for place in range(len(keys))]
        rename = dict(zip(names, keys, strict=True))
        self._texts = msgspec.json.Decoder(
            msgspec.defstruct(
                "Texts", [(name, str | None, None) for name in names], rename=rename, gc=False
            )
        )
        self._anything = msgspec.json.Decoder(
            msgspec.defstruct("Anything", [(name, Any, None) for name in names], rename=rename)
        )

    def values(self, metadata: bytes) -> tuple[str | bytes | None, ...]:
        """The values in the order of the keys: text, None where absent or null, NO_TEXT where it is
        something else.
        """
        try:
            return msgspec.structs.astuple(self._texts.decode(metadata))
        except msgspec.ValidationError:
            found = msgspec.structs.astuple(self._anything.decode(metadata))
            return tuple(
                value if value is None or isinstance(value, str) else NO_TEXT for value in found
            )


class Words(dict[str | bytes | None, int]):
    """The values seen, each with its position; UNCOUNTED for what is no text or too long."""

    def __init__(self) -> None:
        self.words: list[str | None] = []

    def __missing__(self, value: str | bytes | None) -> int:
        if isinstance(value, bytes) or (value is not None and len(value) > MAX_VALUE):
            return UNCOUNTED
        place = self[value] = len(self.words)
        self.words.append(value)
        return place

    def of(self, column: Sequence[str | bytes | None]) -> int | list[int]:
        """The positions of some values: one for all of them where they are the same, as where a
        dimension is absent.
        """
        return (
            self[column[0]]
            if column.count(column[0]) == len(column)
            else [self[value] for value in column]
        )


def of(events: Sequence[Event], numbers: Sequence[int], dimensions: Dimensions) -> dict[str, Delta]:
    """The delta of each project; `numbers` are those of the events' people."""
    groups: dict[
        tuple[str, int, str, str], tuple[list[int], list[tuple[str | bytes | None, ...]]]
    ] = {}
    for event, number in zip(events, numbers, strict=True):
        name = (
            event.project,
            int(event.timestamp.timestamp() // 3600),
            event.event_type,
            event.event_action,
        )
        group = groups.get(name)
        if group is None:
            group = groups[name] = ([], [])
        group[0].append(number)
        group[1].append(dimensions.values(event.metadata))
    made: dict[str, Delta] = {}
    words: dict[str, Words] = {}
    for (project, hour, type_, action), (people, rows) in groups.items():
        place = words.setdefault(project, Words())
        delta = made.setdefault(project, Delta(dimensions.keys, place.words, []))
        delta.groups.append(
            Group(
                hour,
                type_,
                action,
                people,
                [place.of(column) for column in zip(*rows, strict=True)],
            )
        )
    return made


def size(delta: Delta) -> int:
    """How many events it counts."""
    return sum(len(group.people) for group in delta.groups)
