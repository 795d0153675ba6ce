"""Lanes: what takes long waits apart, what is quick never waits for it, what is streamed takes
turns. On real servers: tests/faults/test_heavy.py.
"""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import httpx2
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.errors import Unavailable
from analytics.queries.database import lanes
from analytics.queries.database import snapshot as snapshots
from analytics.queries.database.lanes import Lanes
from analytics.queries.database.snapshot import open_snapshot
from analytics.roles import api
from analytics.settings import Settings
from tests.queries.asker import StillQueue
from tests.waiting import until

T = TypeVar("T")


class Clock:
    """The clock of snapshots, which stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(snapshots, "time", self)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
async def pools(migrated_url: str) -> AsyncIterator[Lanes]:
    pools = Lanes(Settings(database_url=migrated_url))
    yield pools
    await pools.dispose()


def slow(pools: Lanes, gate: asyncio.Event) -> Callable[[AsyncEngine], Awaitable[str]]:
    """A query too slow for the light lane; in the heavy one it ends when the gate opens."""

    async def ask(engine: AsyncEngine) -> str:
        if engine is pools.light:
            raise Unavailable("slow", code="too_slow")
        assert engine is pools.heavy
        await gate.wait()
        return "heavy"

    return ask


async def run(
    pools: Lanes, name: object, shape: str, make: Callable[[AsyncEngine], Awaitable[T]]
) -> T:
    """What `make` returns, as an answer is made."""
    for attempt in pools.attempts(name, shape):
        async with attempt as engine:
            return await make(engine)
    raise AssertionError("the last lane returns or raises")


async def test_heavy_questions_wait_apart_from_light_ones(
    pools: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MAX_WAITING", 2)
    gate = asyncio.Event()

    async def light(engine: AsyncEngine) -> str:
        assert engine is pools.light
        return "light"

    asking = [
        asyncio.create_task(run(pools, at, "funnel by plan", slow(pools, gate)))
        for at in range(lanes.HEAVY_PLACES + 2)
    ]
    await until(lambda: pools._waiting == 2)
    with pytest.raises(Unavailable) as caught:
        await run(pools, "more", "funnel by plan", slow(pools, gate))
    assert (caught.value.code, caught.value.retry_after > 0) == ("busy", True)
    assert await run(pools, "light", "trends", light) == "light"
    gate.set()
    assert await asyncio.gather(*asking) == ["heavy"] * len(asking)


async def test_the_wait_for_a_place_ends(pools: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PLACE_WAIT_SECONDS", 0.01)
    gate = asyncio.Event()
    asking = [
        asyncio.create_task(run(pools, at, "x", slow(pools, gate)))
        for at in range(lanes.HEAVY_PLACES)
    ]
    await until(pools._places.locked)
    with pytest.raises(Unavailable) as caught:
        await run(pools, "more", "x", slow(pools, gate))
    assert caught.value.code == "busy"
    gate.set()
    await asyncio.gather(*asking)


async def test_what_was_heavy_is_asked_there_at_once_until_it_was_quick_there(
    pools: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[AsyncEngine] = []

    async def ask(engine: AsyncEngine) -> None:
        asked.append(engine)
        if asked == [pools.light]:
            raise Unavailable("slow", code="too_slow")

    monkeypatch.setattr(lanes, "LIGHT_SECONDS", -1.0)
    await run(pools, "a", "x", ask)
    await run(pools, "a", "x", ask)
    monkeypatch.setattr(lanes, "LIGHT_SECONDS", 60.0)
    await run(pools, "a", "x", ask)
    await run(pools, "a", "x", ask)
    assert asked == [pools.light, pools.heavy, pools.heavy, pools.heavy, pools.light]


async def test_a_question_of_many_quick_statements_is_heavy_too(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "LIGHT_QUERY_SECONDS", 10)
    clock = Clock(monkeypatch)
    pools = Lanes(Settings(database_url=migrated_url))
    statements: dict[AsyncEngine, int] = {pools.light: 0, pools.heavy: 0}

    async def ask(engine: AsyncEngine) -> None:
        async with open_snapshot(engine, StillQueue()) as reading:  # type: ignore[arg-type]
            for _ in range(10):
                await reading.rows(select(1))
                clock.seconds += 2.6
                statements[engine] += 1

    await run(pools, "a", "x", ask)
    assert statements == {pools.light: 4, pools.heavy: 10}
    await pools.dispose()


async def test_all_statements_of_a_question_together_are_cut_off_too(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, read = Clock(monkeypatch), 0
    pools = Lanes(Settings(database_url=migrated_url))

    async def ask(engine: AsyncEngine) -> None:
        nonlocal read
        async with open_snapshot(engine, StillQueue()) as reading:  # type: ignore[arg-type]
            async for _ in await reading.batches(select(func.generate_series(1, 1000)), 1):
                read += engine is pools.heavy
                clock.seconds += snapshots.QUERY_SECONDS / 100

    with pytest.raises(Unavailable) as caught:
        await run(pools, "a", "x", ask)
    assert (caught.value.code, "30 s" in caught.value.message) == ("too_slow", True)
    assert 99 <= read <= 101
    await pools.dispose()


# streams


async def endless() -> AsyncGenerator[bytes, None]:
    while True:
        yield b"x"


async def test_there_are_so_many_streams_and_no_more(
    pools: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MAX_STREAMS", 3)

    async def few() -> AsyncGenerator[bytes, None]:
        yield b"x"

    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"x"
        raise OSError

    ended, cut = pools.stream(few(), 1), pools.stream(broken(), 2)
    abandoned = pools.stream(endless(), 3)
    with pytest.raises(Unavailable) as caught:
        pools.stream(endless(), 3)
    assert caught.value.code == "busy"
    assert [chunk async for chunk in ended] == [b"x"]
    with pytest.raises(OSError):  # noqa: PT011 - its own
        _ = [chunk async for chunk in cut]
    assert await anext(abandoned) == b"x"
    del abandoned
    gc.collect()
    await until(lambda: not pools._streams)
    never_begun = pools.stream(endless(), 3)
    assert len(pools._streams) == 1
    del never_begun
    gc.collect()
    assert not pools._streams


async def test_one_key_cannot_hold_all_places(
    pools: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MAX_STREAMS_OF_KEY", 2)
    held = [pools.stream(endless(), "one") for _ in range(2)]
    with pytest.raises(Unavailable, match="for one key") as caught:
        pools.stream(endless(), "one")
    assert caught.value.code == "busy"
    held.append(pools.stream(endless(), "another"))
    for stream in held:
        assert await anext(stream) == b"x"
        await stream.aclose()
    assert not pools._streams


async def test_an_export_needs_no_place_among_the_heavy_and_leaves_them_theirs(
    migrated_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = api.ROLE.app(
        Settings(
            environment="test", database_url=migrated_url, redis_url=redis_url, api_keys=("k",)
        )
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http,
    ):
        pools: Any = app.state.sources.lanes
        gate = asyncio.Event()
        asking = [
            asyncio.create_task(run(pools, at, "x", slow(pools, gate)))
            for at in range(lanes.HEAVY_PLACES)
        ]
        await until(pools._places.locked)
        assert (await http.get("/api/export", headers={"X-API-Key": "k"})).status_code == 200
        assert not pools._streams
        monkeypatch.setattr(lanes, "MAX_STREAMS", 0)
        refused = await http.get("/api/export", headers={"X-API-Key": "k"})
        assert (
            refused.status_code,
            refused.json()["error"]["code"],
            int(refused.headers["retry-after"]) > 0,
        ) == (503, "busy", True)
        gate.set()
        await asyncio.gather(*asking)
