"""The ledger of ids that clients supplied: one id is one event, for LEDGER_DAYS at least.

The event's timestamp does not matter. Ids are written to one of two tables, called slots. Once that
table has been in use for LEDGER_DAYS, the other one, which holds only older ids, is truncated and
takes its turn. No row is deleted singly, so nothing bloats. docs/decisions/0001-ledger.md has the
reasons and the cost.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg

from analytics.events import Name, name_of
from analytics.settings import Settings
from analytics.stores.locks import LEDGER_TURN
from analytics.stores.writing.recorder import ANNOUNCE

KNOWN = """
SELECT project, id FROM event_ledger_0 WHERE id = ANY($1::uuid[])
UNION ALL
SELECT project, id FROM event_ledger_1 WHERE id = ANY($1::uuid[])
"""

INSERT = """
INSERT INTO event_ledger_{slot} (id, project)
SELECT * FROM unnest($1::uuid[], $2::varchar[]) AS sent (id, project)
ORDER BY id, project COLLATE "C"
ON CONFLICT DO NOTHING RETURNING project, id
"""

DELETE = """
DELETE FROM event_ledger_{slot} AS known
USING unnest($1::uuid[], $2::varchar[]) AS gone (id, project)
WHERE known.id = gone.id AND known.project = gone.project
"""

TURN = "SELECT slot, now() - since AS age FROM ledger_turn"
NEXT_TURN = "UPDATE ledger_turn SET slot = 1 - slot, since = now()"

HELD = "SELECT slot, (SELECT epoch FROM people_pruning) AS epoch FROM ledger_turn"

ClientId = tuple[str, UUID]
"""A project, and the stored id of a client's id in it."""


class Turn(NamedTuple):
    """What holds until a storing transaction ends: the ledger's slot, and the epoch of people."""

    slot: int
    epoch: int


async def hold_turn(connection: asyncpg.Connection) -> Turn:
    """Keep the ledger from turning, and people from being removed, until this transaction ends.

    That takes two statements: the second takes its snapshot after the lock, and so sees what the
    last turn changed. The first announces deltas too, which saves a round trip.
    """
    await connection.execute(f"{ANNOUNCE}; SELECT pg_advisory_xact_lock_shared({LEDGER_TURN})")
    return Turn(*await connection.fetchrow(HELD))


async def known(connection: asyncpg.Connection, ids: Iterable[ClientId]) -> set[Name]:
    """The ids that committed transactions have written, in any project, among some ids."""
    return {
        name_of(row["project"], row["id"])
        for row in await connection.fetch(KNOWN, [id_ for _, id_ in ids])
    }


async def copy(connection: asyncpg.Connection, slot: int, ids: Iterable[ClientId]) -> None:
    """Write ids that are all new, the fastest way.

    Raises asyncpg.UniqueViolationError if one is not new.
    """
    records = sorted(((id_, project) for project, id_ in ids), key=_order)
    await connection.copy_records_to_table(
        f"event_ledger_{slot}", columns=("id", "project"), records=records
    )


async def insert(connection: asyncpg.Connection, slot: int, ids: Sequence[ClientId]) -> set[Name]:
    """Write ids; returns those that were new."""
    rows = await connection.fetch(
        INSERT.format(slot=slot), [id_ for _, id_ in ids], [project for project, _ in ids]
    )
    return {name_of(row["project"], row["id"]) for row in rows}


async def forget(connection: asyncpg.Connection, slot: int, ids: Sequence[ClientId]) -> None:
    """Remove ids that this transaction wrote, because their events were not stored after all."""
    await connection.execute(
        DELETE.format(slot=slot), [id_ for _, id_ in ids], [project for project, _ in ids]
    )


def _order(record: tuple[UUID, str]) -> tuple[int, str]:
    """PostgreSQL's order of the primary key, in which all transactions take their locks."""
    return record[0].int, record[1]


async def turn(connection: asyncpg.Connection, settings: Settings) -> bool:
    """Truncate the other table and use it from now on, if LEDGER_DAYS have passed.

    Returns whether it did. The lock waits for every transaction that writes ids, and makes new ones
    wait. So none writes into a table that is being emptied, and none misses an id that another one
    writes.
    """
    limit = timedelta(days=settings.ledger_days)
    if (await connection.fetchrow(TURN))["age"] < limit:
        return False
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LEDGER_TURN)
        slot, age = await connection.fetchrow(TURN)
        if age < limit:
            return False
        await connection.execute(f"TRUNCATE event_ledger_{1 - slot}")
        await connection.execute(NEXT_TURN)
    return True
