"""Recording: what a storing transaction does for the rollups and of who is whom, once its rows are
in.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from analytics.derived import deltas
from analytics.derived.deltas import Delta, Dimensions
from analytics.events import Event
from analytics.stores.identity import linking
from analytics.stores.identity.claims import said
from analytics.stores.writing import people
from analytics.stores.writing.people import Name, People

ANNOUNCE = "SET LOCAL analytics.storing = 'on'"
"""Tells the trigger on raw_events that this transaction leaves deltas of its rows; without, it
marks their days as incomplete.
"""

APPEND = """
INSERT INTO rollup_deltas (project, events, data)
SELECT * FROM unnest($1::varchar[], $2::int[], $3::bytea[])
"""


class Recorded(NamedTuple):
    """The deltas of each project, and the numbers of people that were looked up, to be given to
    `committed`.
    """

    deltas: Mapping[str, Delta]
    people: Mapping[Name, int]


class Recorder:
    """Leaves deltas; remembers people across transactions."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._dimensions = Dimensions(keys)
        self._people = People()

    async def record(self, connection: asyncpg.Connection, events: Sequence[Event]) -> Recorded:
        """Append the deltas of events that are rows now, and link whom they link."""
        names = [(event.project, event.actor) for event in events]
        linked = said(events)
        everybody = {
            *names,
            *((project, name) for project, links in linked.items() for name in links.names),
        }
        numbers = self._people.known(everybody)
        asked: dict[str, list[str]] = {}
        for project, actor in everybody - numbers.keys():
            asked.setdefault(project, []).append(actor)
        looked_up: dict[Name, int] = {}
        for project, actors in sorted(asked.items()):
            found = await people.look_up(connection, project, actors)
            looked_up |= {(project, actor): number for actor, number in found.items()}
        numbers |= looked_up
        made = deltas.of(events, [numbers[name] for name in names], self._dimensions)
        if made:
            await _append(connection, made)
        for project, links in sorted(linked.items()):
            await linking.link(connection, project, links)
        return Recorded(made, looked_up)

    def committed(self, numbers: Mapping[Name, int]) -> None:
        """Their transaction has committed."""
        self._people.remember(numbers)


async def _append(connection: asyncpg.Connection, made: Mapping[str, Delta]) -> None:
    """Leave the delta of each project for the compaction."""
    projects, each = zip(*sorted(made.items()), strict=True)
    await connection.execute(
        APPEND, projects, list(map(deltas.size, each)), list(map(deltas.pack, each))
    )
