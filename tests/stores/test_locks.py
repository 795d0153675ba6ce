"""An advisory lock is released whatever happens to its holder."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from analytics.redis import key_mirror
from analytics.stores import locks
from analytics.stores.locks import COMPACTION, alone, try_alone
from tests.stores.conftest import connected
from tests.waiting import until

REPOSITORY = Path(__file__).parents[2]

TURNS = range(60)
"""Waits after which the holder is cancelled: from before it asks for the lock until after it has
given it back.
"""

HELD = """
SELECT count(*) FROM pg_locks JOIN pg_database ON database = pg_database.oid
WHERE locktype = 'advisory' AND datname = current_database()
"""

Hold = Callable[[asyncpg.Connection, int], AbstractAsyncContextManager[object]]


class Interrupted(asyncpg.Connection):  # type: ignore[misc]
    """Is cancelled when the server has taken the lock and the answer is on its way."""

    async def fetchval(self, query: str, *values: Any, **options: Any) -> Any:
        """`try_alone` asks for the lock so."""
        await super().fetchval(query, *values, **options)
        raise asyncio.CancelledError

    async def execute(self, query: str, *values: Any, **options: Any) -> str:
        """`alone` asks for the lock so."""
        await super().execute(query, *values, **options)
        raise asyncio.CancelledError


@contextlib.asynccontextmanager
async def held_in_a_pool(
    url: str, hold: Hold, connection_class: type[asyncpg.Connection]
) -> AsyncIterator[Callable[[], Coroutine[Any, Any, None]]]:
    """Holds the lock on the one connection of a pool like the store's; free again at the end."""
    pool = asyncpg.create_pool(
        url, ssl=False, min_size=0, max_size=1, reset=_keep, connection_class=connection_class
    )
    async with pool, connected(url) as other:

        async def work() -> None:
            async with pool.acquire() as connection, hold(connection, COMPACTION):
                await asyncio.sleep(0)

        async def free() -> bool:
            return bool(await other.fetchval(HELD) == 0)

        yield work
        await until(free)


async def _keep(_: asyncpg.Connection) -> None:
    """A session goes back into the pool as it is."""


@pytest.mark.parametrize("hold", [alone, try_alone])
async def test_a_holder_that_is_cancelled_before_it_learns_that_it_has_the_lock_leaves_none(
    migrated_url: str, hold: Hold
) -> None:
    async with held_in_a_pool(migrated_url, hold, Interrupted) as work:
        with pytest.raises(asyncio.CancelledError):
            await work()


@pytest.mark.parametrize("hold", [alone, try_alone])
async def test_a_holder_that_is_cancelled_at_any_moment_leaves_none(
    migrated_url: str, hold: Hold
) -> None:
    for turns in TURNS:
        async with held_in_a_pool(migrated_url, hold, asyncpg.Connection) as work:
            holder = asyncio.create_task(work())
            for _ in range(turns):
                await asyncio.sleep(0.0001)
            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)


def test_every_lock_has_a_number_of_its_own_and_the_migrators_agree_on_theirs() -> None:
    numbers = [
        number for name, number in vars(locks).items() if name.isupper() and isinstance(number, int)
    ]
    assert len({*numbers, key_mirror._LOCK}) == len(numbers) + 1
    alembic = re.search(
        r"^LOCK = (\w+)$", (REPOSITORY / "alembic" / "env.py").read_text(), re.MULTILINE
    )
    assert alembic
    assert int(alembic[1]) == locks.MIGRATION
