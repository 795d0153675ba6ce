"""The ledger of ids that clients supplied: one id is one event whatever its timestamp, for
LEDGER_DAYS at least.

Ids are written to one of two tables. When that one is older than LEDGER_DAYS, the other, which
holds only older ids, is truncated and takes its turn: nothing is deleted row by row, so nothing
bloats. docs/decisions/0001-ledger.md has the reasons and the cost.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from analytics.settings import Settings
from analytics.stores.locks import LEDGER_TURN
from analytics.stores.writing.recorder import ANNOUNCE

KNOWN = """
SELECT project, id FROM event_ledger_0 WHERE id = ANY($1::uuid[])
UNION ALL
SELECT project, id FROM event_ledger_1 WHERE id = ANY($1::uuid[])
"""

INSERT = """
INSERT INTO event_ledger_{slot} (id, project) SELECT * FROM unnest($1::uuid[], $2::varchar[]) AS sent (id, project)
ORDER BY id, project COLLATE "C"
ON CONFLICT DO NOTHING RETURNING project, id
"""

DELETE = """
DELETE FROM event_ledger_{slot} AS known USING unnest($1::uuid[], $2::varchar[]) AS gone (id, project)
WHERE known.id = gone.id AND known.project = gone.project
"""

TURN = "SELECT slot, now() - since AS age FROM ledger_turn"
NEXT = "UPDATE ledger_turn SET slot = 1 - slot, since = now()"

Name = tuple[str, UUID]
"""An event's project and id."""


async def hold_turn(connection: asyncpg.Connection) -> int:
    """Keep the ledger from turning until this transaction ends; the table whose turn it is. Saves a
    round trip by announcing deltas too.

    Two statements: the second takes its snapshot after the lock, and so sees what the last turn has
    changed.
    """
    await connection.execute(f"{ANNOUNCE}; SELECT pg_advisory_xact_lock_shared({LEDGER_TURN})")
    slot: int = await connection.fetchval("SELECT slot FROM ledger_turn")
    return slot


async def known(connection: asyncpg.Connection, names: Iterable[Name]) -> set[Name]:
    """The names that committed transactions have written, among some whose ids were asked for."""
    return {
        (row["project"], row["id"])
        for row in await connection.fetch(KNOWN, [id for _, id in names])
    }


async def copy(connection: asyncpg.Connection, slot: int, names: Iterable[Name]) -> None:
    """Write names that are new, the quickest way; raises asyncpg.UniqueViolationError if one is
    not.
    """
    records = sorted(((id, project) for project, id in names), key=_place)
    await connection.copy_records_to_table(
        f"event_ledger_{slot}", columns=("id", "project"), records=records
    )


async def insert(connection: asyncpg.Connection, slot: int, names: Sequence[Name]) -> set[Name]:
    """Write names; those that were new."""
    rows = await connection.fetch(
        INSERT.format(slot=slot), [id for _, id in names], [project for project, _ in names]
    )
    return {(row["project"], row["id"]) for row in rows}


async def forget(connection: asyncpg.Connection, slot: int, names: Sequence[Name]) -> None:
    """Take names out again that this transaction wrote, since their events were not stored after
    all.
    """
    await connection.execute(
        DELETE.format(slot=slot), [id for _, id in names], [project for project, _ in names]
    )


def _place(record: tuple[UUID, str]) -> tuple[int, str]:
    return record[0].int, record[1]


async def turn(connection: asyncpg.Connection, settings: Settings) -> bool:
    """Truncate the older table and let it take its turn, if the current one is older than
    LEDGER_DAYS; whether it did.

    The lock waits for every transaction that writes ids and makes new ones wait: none can write
    into a table that is being emptied, and none can miss an id that another one writes.
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
        await connection.execute(NEXT)
    return True
