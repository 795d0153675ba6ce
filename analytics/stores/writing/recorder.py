"""Records what rollups and identity need of a transaction's rows: deltas, people, links."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from analytics import metrics
from analytics.derived import deltas
from analytics.derived.deltas import Delta, Dimensions
from analytics.events import Event
from analytics.stores.identity import links
from analytics.stores.identity.claims import find_claims
from analytics.stores.writing import people
from analytics.stores.writing.people import Actor, People

ANNOUNCE = "SET LOCAL analytics.storing = 'on'"
"""Tells the trigger on raw_events that this transaction leaves deltas of its rows.

Without it, the trigger marks the days of these rows as incomplete.
"""

APPEND = """
INSERT INTO rollup_deltas (project, events, data)
SELECT * FROM unnest($1::varchar[], $2::int[], $3::bytea[])
"""


class Recorded(NamedTuple):
    """The deltas of each project, and what `committed` needs after the commit."""

    deltas: Mapping[str, Delta]
    people: Mapping[Actor, int]
    epoch: int
    unlinked: int
    """Claims and aliases that link nobody because a person would have too many names."""


class Recorder:
    """Appends deltas and links; remembers the numbers of people across transactions."""

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys` are the keys of metadata that are dimensions."""
        self._dimensions = Dimensions(keys)
        self._people = People()

    async def record(
        self, connection: asyncpg.Connection, events: Sequence[Event], *, epoch: int = 0
    ) -> Recorded:
        """Append the deltas of events that are rows now, and the links that follow from them.

        `epoch` is that of `people_pruning`, read after the transaction began to hold its turn.
        """
        self._people.enter(epoch)
        actors = [(event.project, event.actor) for event in events]
        claims = find_claims(events)
        named = {(project, name) for project, each in claims.items() for name in each.names}
        numbers, looked_up = await self._numbers(connection, named.union(actors))
        built = deltas.build(events, [numbers[actor] for actor in actors], self._dimensions)
        if built:
            await _append(connection, built)
        unlinked = 0
        for project, of_project in sorted(claims.items()):
            unlinked += await links.link(connection, project, of_project, events)
        return Recorded(built, looked_up, epoch, unlinked)

    async def _numbers(
        self, connection: asyncpg.Connection, actors: set[Actor]
    ) -> tuple[dict[Actor, int], dict[Actor, int]]:
        """The numbers of all actors, and of those that were not remembered."""
        numbers = self._people.known(actors)
        unknown: dict[str, list[str]] = {}
        for project, actor in actors - numbers.keys():
            unknown.setdefault(project, []).append(actor)
        looked_up: dict[Actor, int] = {}
        for project, names in sorted(unknown.items()):
            given = await people.look_up(connection, project, names)
            looked_up |= {(project, actor): number for actor, number in given.items()}
        return numbers | looked_up, looked_up

    def committed(self, recorded: Recorded) -> None:
        """Remember the numbers of a transaction that has committed, and count what it refused."""
        self._people.remember(recorded.people, recorded.epoch)
        metrics.names_not_linked.add({}, recorded.unlinked)


def names_of(event: Event) -> set[str]:
    """The actor of an event, and whoever it says belongs to the same person: all get numbers."""
    return {event.actor}.union(*(claims.names for claims in find_claims([event]).values()))


async def _append(connection: asyncpg.Connection, built: Mapping[str, Delta]) -> None:
    """Append the delta of each project, for the compaction."""
    projects, each = zip(*sorted(built.items()), strict=True)
    sizes, packed = list(map(deltas.count_events, each)), list(map(deltas.pack, each))
    await connection.execute(APPEND, projects, sizes, packed)
