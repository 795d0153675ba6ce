"""A real streaming replica: answers come from it, and never claim what it has not replayed."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.commands.finding import BAD, GOOD
from analytics.commands.postgres_server import replica as examined
from analytics.embedded import Postgres, create_database
from analytics.errors import Unavailable
from analytics.queries import QUESTIONS, EncodedAnswer, Sources, answer
from analytics.queries.answers.cache import AnswerCache
from analytics.queries.database.replica import Replica
from analytics.queries.database.snapshot import open_engine
from analytics.queue.reader import Horizon, Reader
from analytics.settings import Settings
from analytics.stores import migrate
from tests import servers
from tests.queries.asker import EVERYTHING, Asker, StillQueue
from tests.queries.simple import row
from tests.waiting import wait_for

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = b"from=2026-11-23&to=2026-11-24"
TRENDS = next(question for question in QUESTIONS if question.path == "/trends")


class MovingQueue(StillQueue):
    """The queue at the seam: all is stored, up to a watermark that the test moves."""

    def __init__(self) -> None:
        self.now = NOON

    async def horizon(self, project: str | None = None) -> Horizon:
        return Horizon(self.now, waiting=False)


@pytest.fixture
def primary(server_folder: Path) -> Iterator[Postgres]:
    with servers.postgres(server_folder / f"primary-{uuid4().hex[:8]}") as server:
        create_database(server, "events")
        migrate(server.url("events"), Settings())
        yield server


@pytest.fixture
def standby(primary: Postgres, server_folder: Path) -> Iterator[Postgres]:
    server = Postgres(
        server_folder / f"standby-{uuid4().hex[:8]}",
        password=servers.PASSWORD,
        port=None,
        max_connections="200",
    )
    where = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres", "-D", str(server.data)]
    copy = [
        primary.program("pg_basebackup"),
        "--no-password",
        *where,
        "-R",
        "-X",
        "stream",
        "-c",
        "fast",
    ]
    server._own_folder()
    process = server._popen(
        copy, {"PGPASSWORD": servers.PASSWORD}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = process.communicate()
    assert process.returncode == 0, said
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Pair:
    """A primary, its replica, and a way to ask the replica."""

    def __init__(self, primary: Postgres, standby: Postgres) -> None:
        self.primary, self.standby, self.queue = primary, standby, MovingQueue()
        self.engines = [
            open_engine(Settings(), server.url("events")) for server in (primary, standby)
        ]
        self.replica = Replica(self.engines[0], self.engines[1], cast(Reader, self.queue))
        self.cache: AnswerCache | None = None
        self.cached = False

    async def store(self, *times: str) -> None:
        connection = await asyncpg.connect(self.primary.url("events"))
        await connection.execute(
            "create table if not exists raw_events_of_any_age partition of raw_events default"
        )
        await Asker(connection, cast(AsyncEngine, None)).add([row(time) for time in times])
        await connection.close()
        self.queue.now += timedelta(minutes=1)

    async def ask(self) -> tuple[int, datetime | None, bool]:
        """How many events the answer counts, its watermark, and whether it calls itself partial."""
        queue = cast(Reader, self.queue)
        sources = Sources(self.engines[1], queue, self.replica, cache=self.cache)
        reply = await answer(TRENDS, DAY, {}, EVERYTHING, sources)
        envelope = msgspec.json.decode(cast(EncodedAnswer, reply).body)
        self.cached = envelope["meta"]["cached"]
        watermark = envelope["meta"]["watermark"]
        return (
            envelope["data"]["series"][0]["total"],
            watermark and datetime.fromisoformat(watermark),
            envelope["meta"]["partial"],
        )

    async def caught_up(self) -> tuple[int, datetime | None, bool]:
        """The first answer that is complete up to now; the replica gets there by itself, and every
        question waits for it a little.
        """
        for _ in range(200):
            if (reading := await self.ask())[1] == self.queue.now:
                return reading
        raise AssertionError("the replica never caught up")


@pytest.fixture
async def pair(primary: Postgres, standby: Postgres) -> AsyncIterator[Pair]:
    pair = Pair(primary, standby)
    yield pair
    for engine in pair.engines:
        await engine.dispose()


async def test_answers_of_a_replica_claim_what_it_has_replayed_and_no_more(pair: Pair) -> None:
    await pair.store("2026-11-23T10:00")
    assert await pair.caught_up() == (1, NOON + timedelta(minutes=1), False)

    pair.standby.execute("select pg_wal_replay_pause()")
    wait_for(
        lambda: pair.standby.execute("select pg_get_wal_replay_pause_state()") == "paused",
        "the pause",
    )
    await pair.store("2026-11-23T11:00", "2026-11-23T12:00")
    assert await pair.ask() == (1, NOON + timedelta(minutes=1), True)

    pair.standby.execute("select pg_wal_replay_resume()")
    assert await pair.caught_up() == (3, NOON + timedelta(minutes=2), False)

    pair.primary.kill()
    pair.queue.now += timedelta(minutes=1)
    assert await pair.ask() == (3, NOON + timedelta(minutes=2), True)

    pair.standby.kill()
    with pytest.raises(Unavailable, match="does not answer"):
        await pair.ask()


async def test_a_cached_answer_of_a_replica_claims_no_more_than_it_knew(
    pair: Pair, redis_url: str
) -> None:
    redis = Redis.from_url(redis_url)
    pair.cache = AnswerCache(redis)
    await pair.store("2026-11-23T10:00")
    known = NOON + timedelta(minutes=1)
    assert await pair.caught_up() == await pair.ask() == (1, known, False)
    assert pair.cached

    pair.standby.execute("select pg_wal_replay_pause()")
    wait_for(
        lambda: pair.standby.execute("select pg_get_wal_replay_pause_state()") == "paused",
        "the pause",
    )
    await pair.store("2026-11-23T11:00")
    assert await pair.ask() == (1, known, True), (
        "cached or made anew: the replica does not have what the primary has"
    )

    pair.standby.execute("select pg_wal_replay_resume()")
    assert await pair.caught_up() == (2, NOON + timedelta(minutes=2), False)
    await redis.aclose()


async def test_a_server_that_is_no_replica_is_promised_nothing_and_found_by_the_doctor(
    postgres_server: Postgres, migrated_url: str
) -> None:
    engine = open_engine(Settings(), migrated_url)
    horizon = await Replica(engine, engine, cast(Reader, MovingQueue())).horizon(
        Horizon(NOON, waiting=False)
    )
    await engine.dispose()
    assert horizon is None
    assert (await examined(Settings(), migrated_url)).mark == BAD


async def test_the_doctor_knows_a_replica(standby: Postgres) -> None:
    assert (await examined(Settings(), standby.url("events"))).mark == GOOD
