"""Several processors at once, handed the same jobs again and again: who is whom and what is a
session are as if one had read the events in order.
"""

import asyncio
import random
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from analytics.errors import TransientStoreError
from analytics.events import Job
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.queries import oracle_sessions, oracle_users
from tests.queries.oracle import Row
from tests.queries.oracle_identity import owned, persons
from tests.queries.questions.test_users import LIST, pages
from tests.queries.questions.trends.test_trends import equal
from tests.queries.simple import row
from tests.queries.storing import Storer, event
from tests.waiting import until

START = datetime(2026, 11, 2, tzinfo=UTC)
END = START + timedelta(days=6)
RANGE = (("from", START.isoformat()), ("to", END.isoformat()))
PROCESSORS = 4

WAITING = """
SELECT count(*) = $1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def crowd(dice: random.Random) -> list[Row]:
    """Events of people who tell no session, log in on devices of each other's, and are renamed; a
    few tell a session.
    """

    def one() -> Row:
        user, device = f"user-{dice.randrange(20)}", f"device-{dice.randrange(30)}"
        kind = dice.choices(["device", "user", "claim", "alias"], [8, 4, 6, 1])[0]
        metadata: dict[str, Any] = {
            "claim": {"$anonymous_id": device},
            "alias": {"$previous_id": f"user-{dice.randrange(20)}"},
        }.get(kind, {})
        at = (
            START
            + timedelta(days=1) * dice.randrange(6)
            + timedelta(minutes=10) * dice.randrange(30)
        )
        session = dice.choice(["$none", "$none", "$none", f"told-{device}"])
        return Row(
            UUID(int=dice.getrandbits(128)),
            at,
            session,
            device if kind == "device" else user,
            "alias" if kind == "alias" else "e",
            "a",
            metadata,
        )

    return [one() for _ in range(240)]


async def process(stores: list[PostgresStore], jobs: list[Job]) -> None:
    """Every job is taken from a queue by whoever is free, until it is stored."""
    waiting = list(jobs)

    async def work(store: PostgresStore) -> None:
        while waiting:
            some = [waiting.pop() for _ in range(min(2, len(waiting)))]
            try:
                await store.write(some)
            except TransientStoreError:  # as the worker does
                waiting.extend(some)

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(store) for store in stores for _ in range(2)))


@pytest.mark.parametrize("seed", range(4))
async def test_processors_that_link_and_store_at_once_agree_with_one_who_reads_in_order(
    storer: Storer, seed: int
) -> None:
    dice = random.Random(seed)
    # so that a job is of one day: the counts of a day are changed by one at a time
    rows = sorted(crowd(dice), key=lambda row: row.timestamp)
    jobs = [
        Job(f"{seed}.{at}", [event(row) for row in rows[at : at + 6]])
        for at in range(0, len(rows), 6)
    ]
    again = [
        Job(f"again.{seed}.{at}", [event(row) for row in dice.sample(rows, 6)]) for at in range(10)
    ]
    deliveries = [*jobs, *jobs, *again]
    dice.shuffle(deliveries)
    await storer.empty()
    async with AsyncExitStack() as stack:
        stores = [
            await PostgresStore.open(Settings(database_url=storer.url)) for _ in range(PROCESSORS)
        ]
        for store in stores:
            stack.push_async_callback(store.close)
        await process(stores, deliveries)

    known = persons(rows)
    links = await storer.connection.fetch(
        "select actor, person from identity_links where person <> actor"
    )
    assert {link["actor"]: link["person"] for link in links} == {
        name: person for name, person in known.items() if name != person
    }

    mine = owned(rows)
    data = (await storer.ask("/sessions", *RANGE))["data"]
    expected = oracle_sessions.sessions(mine, START, END, "day", ZoneInfo("UTC"))
    for name in ("sessions", "users", "bounce_rate", "avg_s", "median_s"):
        assert equal(data[name], expected[name])
        assert all(
            equal(got, bucket[name])
            for got, bucket in zip(data["series"][name], expected["series"], strict=True)
        )
    said = {
        user["id"]: (user["events"], user["sessions"])
        for user in await pages(storer, LIST, *RANGE, limit=50)
    }
    assert said == {
        user["id"]: (user["events"], user["sessions"]) for user in oracle_users.users(mine)
    }


async def test_who_waited_for_a_turn_to_link_looks_again_at_what_was_said_meanwhile(
    storer: Storer,
) -> None:
    await storer.empty()
    await storer.write(
        [
            row("2026-11-02", "ada"),
            row("2026-11-02", "bob"),
            row("2026-11-02", "cookie"),
            row("2026-11-02", "eve", **{"$anonymous_id": "e"}),
        ]
    )
    earlier, later = (
        row(f"2026-11-0{day}", user, **{"$anonymous_id": "cookie"})
        for day, user in ((3, "bob"), (4, "ada"))
    )
    holder = await asyncpg.connect(storer.url)
    async with asyncio.TaskGroup() as writing, holder.transaction():
        await holder.execute("select from identity_versions for update")
        for waiting, claim in enumerate((earlier, later), 1):
            writing.create_task(storer.write([claim]))
            await until(lambda waiting=waiting: storer.connection.fetchval(WAITING, waiting))  # type: ignore[misc]
    await holder.close()
    assert (
        await storer.connection.fetchval("select person from identity_links where actor = 'cookie'")
        == "bob"
    )
