"""Pruning: people go when their last event is gone, with all of their names.

Once a day a round goes through the people of all projects. Who is alive is known from rollups, and
from raw rows of days that rollups do not cover. A person with several names stays whole while any
of them has an event. A round goes on where the last run stopped, and removes people in small
transactions.

Numbers are never given again. But a processor remembers the numbers of people, and must not use one
that was removed. So each removal waits until no storing transaction is open, looks once more at
what was stored last, and begins a new epoch: what was remembered in an earlier one is forgotten.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import NamedTuple

import asyncpg
from pyroaring import BitMap

from analytics.stores.identity.links import take_turn
from analytics.stores.identity.persons import regroup
from analytics.stores.identity.statements import each
from analytics.stores.locks import COMPACTION, LEDGER_TURN, alone
from analytics.stores.upkeep.living import Living

log = logging.getLogger(__name__)

SECONDS = 20.0
"""How long one run may go on, for all projects together."""

READ_SECONDS = 120.0
"""How long it may take to find out who is alive in a project; else it is left until tomorrow."""

PAGE_PEOPLE, PAGE_PERSONS = 20_000, 20
"""Actors read at once; persons whose names are."""

MAX_REMOVED = 20_000
"""Names removed in one transaction, or those of one larger person."""

LOCK_SECONDS = 2
"""How long a removal waits for the transactions that are open; new ones wait behind it."""

ROUND = """
SELECT project, actor FROM people_pruning WHERE day < (now() AT TIME ZONE 'UTC')::date
"""

END_ROUND = """
UPDATE people_pruning
SET day = (now() AT TIME ZONE 'UTC')::date, project = '', actor = ''
"""

GO_ON = "UPDATE people_pruning SET project = $1, actor = $2"

NEW_EPOCH = "UPDATE people_pruning SET epoch = epoch + 1"

PROJECTS = "SELECT project FROM people_last WHERE project >= $1 ORDER BY project"

PAGE = """
SELECT actor, number, (
    SELECT person FROM identity_links AS link
    WHERE link.project = $1 AND link.actor = people.actor
) AS person
FROM people WHERE project = $1 AND actor > $2 ORDER BY actor LIMIT $3
"""

LINKED = each("actor, person, number", "identity_links", "actor")

MEMBERS = each("actor, person, number", "identity_links", "person")

HOLD_LINKS = "SELECT version FROM identity_versions WHERE project = $1 FOR UPDATE"

REMOVE = tuple(
    f"DELETE FROM {table} WHERE project = $1 AND {column} = ANY($2::varchar[])"  # noqa: S608 - only our own constants
    for table, column in (
        ("people", "actor"),
        ("identity_links", "actor"),
        ("identity_persons", "person"),
        ("identity_aliases", "other"),
        ("identity_aliases", "person"),
        ("identity_splits", "name"),
        ("identity_splits", "other"),
        ("identity_claims", "person"),
    )
)

REMOVE_CLAIMS = """
DELETE FROM identity_claims WHERE project = $1 AND other = ANY($2::varchar[]) RETURNING person
"""


class Person(NamedTuple):
    """Somebody without events: the name in `identity_links`, if any; all names and numbers."""

    root: str | None
    names: frozenset[str]
    numbers: BitMap


async def prune(connection: asyncpg.Connection, seconds: float = SECONDS) -> int:
    """Go on with the round of today, for about so many seconds; returns how many names it removed.

    The caller holds the lock UPKEEP.
    """
    until = time.monotonic() + seconds
    removed = 0
    place = await connection.fetchrow(ROUND)
    if place is None:
        return 0
    for at, (project,) in enumerate(await connection.fetch(PROJECTS, place["project"])):
        after = place["actor"] if project == place["project"] else ""
        await connection.execute(GO_ON, project, after)
        if at and time.monotonic() > until:
            return removed
        try:
            async with alone(connection, COMPACTION):
                names, finished = await _project(connection, project, after, until)
        except asyncpg.LockNotAvailableError as error:
            log.warning("people without events are not removed now: %r", error)
            return removed
        except (asyncpg.QueryCanceledError, TimeoutError) as error:  # the next may be smaller
            log.warning("people of %s without events are not removed today: %r", project, error)
            continue
        removed += names
        if not finished:
            return removed
    await connection.execute(END_ROUND)
    log.info("names of people without events were removed: %d in this run", removed)
    return removed


async def _project(
    connection: asyncpg.Connection, project: str, after: str, until: float
) -> tuple[int, bool]:
    """Prune a project from an actor on: how many names it removed, and whether it came to the end.

    The caller holds the lock COMPACTION.
    """
    living = Living(connection, project)
    async with asyncio.timeout(READ_SECONDS):
        await living.read()
    removed = 0
    async for last, dead in _pages(connection, project, after, living):
        for people in _batches(dead):
            removed += await _remove(connection, project, people, living)
        await connection.execute(GO_ON, project, last)
        if time.monotonic() > until:
            return removed, False
    return removed, True


async def _pages(
    connection: asyncpg.Connection, project: str, after: str, living: Living
) -> AsyncIterator[tuple[str, list[Person]]]:
    """The actors after one, page by page: the last of each page, and the dead.

    A person with several names comes with the name in `identity_links`.
    """
    while page := await connection.fetch(PAGE, project, after, PAGE_PEOPLE):
        dead, roots = [], []
        for actor, number, person in page:
            if number not in living.numbers and person is None:
                dead.append(Person(None, frozenset([actor]), BitMap([number])))
            elif number not in living.numbers and person == actor:
                roots.append(actor)
        for at in range(0, len(roots), PAGE_PERSONS):
            persons = await _persons(connection, project, roots[at : at + PAGE_PERSONS])
            dead += [person for person in persons if not person.numbers & living.numbers]
        after = page[-1]["actor"]
        yield after, dead


async def _persons(
    connection: asyncpg.Connection, project: str, roots: Collection[str]
) -> list[Person]:
    """Persons with all of their names."""
    rows: defaultdict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(MEMBERS, project, list(roots)):
        rows[row["person"]].append(row)
    return [
        Person(
            root,
            frozenset(row["actor"] for row in each),
            BitMap([row["number"] for row in each]),
        )
        for root, each in rows.items()
    ]


def _batches(people: Sequence[Person]) -> Iterator[list[Person]]:
    """People in groups of MAX_REMOVED names at most, or one with more."""
    batch: list[Person] = []
    names = 0
    for person in people:
        if batch and names + len(person.names) > MAX_REMOVED:
            yield batch
            batch, names = [], 0
        batch.append(person)
        names += len(person.names)
    if batch:
        yield batch


async def _remove(
    connection: asyncpg.Connection, project: str, people: Sequence[Person], living: Living
) -> int:
    """Remove people, but for those who came back or joined others meanwhile; how many names."""
    await living.catch_up()
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LEDGER_TURN)
        await living.catch_up()
        await connection.execute(HOLD_LINKS, project)
        people = [person for person in people if not person.numbers & living.numbers]
        names = await _unchanged(connection, project, people)
        if not names:
            return 0
        claims = await connection.fetch(REMOVE_CLAIMS, project, list(names))
        for statement in REMOVE:
            await connection.execute(statement, project, list(names))
        # whoever has no claim left may be claimed by others now
        if left := {row["person"] for row in claims} - names:
            version = await take_turn(connection, project)
            await regroup(connection, project, version, touched=left, dirty=left)
        await connection.execute(NEW_EPOCH)
    return len(names)


async def _unchanged(
    connection: asyncpg.Connection, project: str, people: Sequence[Person]
) -> set[str]:
    """The names of those people whose names are the same as when they were read."""
    now = {
        person.root: person.names
        for person in await _persons(connection, project, [p.root for p in people if p.root])
    }
    alone = [name for person in people if person.root is None for name in person.names]
    linked = {row["actor"] for row in await connection.fetch(LINKED, project, alone)}
    return {
        name
        for person in people
        if (person.root is None and not person.names & linked)
        or (person.root is not None and now.get(person.root) == person.names)
        for name in person.names
    }
