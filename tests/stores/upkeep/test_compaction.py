"""Compaction moves deltas into rollups and merges their parts; several at once lose nothing."""

import random
import tracemalloc
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import anyio
import msgspec
import pytest

from analytics.derived.cells import ANY, RollupKey
from analytics.derived.deltas import Delta
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN, day_of
from analytics.stores import PostgresStore
from analytics.stores.upkeep import compaction, merger
from tests.stores.conftest import NOW, a_job, an_event, ask, opened
from tests.stores.upkeep.test_rollups import checked, some, total
from tests.waiting import until


async def test_compacting_moves_what_deltas_say_into_rows_by_hour_and_day(
    store: PostgresStore,
) -> None:
    noon = NOW.replace(hour=12) - timedelta(days=1)
    pages = ["/", "/", None]
    events = [
        an_event(timestamp=noon, user_id=user, metadata=msgspec.json.encode({"page": page}))
        for user, page in zip("aab", pages, strict=True)
    ]
    await store.write(
        [
            a_job(*events),
            a_job(
                an_event(
                    timestamp=noon + timedelta(hours=1),
                    user_id="b",
                    event_action="buy",
                    metadata=b"{}",
                )
            ),
        ]
    )
    assert await store.compact() == 4
    assert await ask(store, "SELECT count(*) FROM rollup_deltas") == 0
    day = day_of(noon)
    whole = await total(store, RollupKey(DAY_SPAN, day, ANY, ANY, ANY))
    assert (whole[None].count, len(whole[None].people)) == (4, 2)
    first = await total(store, RollupKey(HOUR_SPAN, day + 12, "page", "engagement", "click"))
    assert {value: (cell.count, len(cell.people)) for value, cell in first.items()} == {
        "/": (2, 1),
        None: (1, 1),
    }
    assert await total(store, RollupKey(DAY_SPAN, day, "page", "engagement", "buy")) == {}
    assert [report.complete for report in await checked(store)] == [True]


async def test_parts_are_merged_as_they_become_many_and_to_one_when_their_time_is_over(
    store: PostgresStore,
) -> None:
    dice = random.Random(2)
    for _ in range(merger.FAN * merger.FAN):
        await store.write([a_job(*some(2, dice))])
        await store.compact()
    most = (
        "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM rollups WHERE key = ''"
        " GROUP BY span, start, event_type, event_action{}) AS parts"
    )
    assert await ask(store, most.format("")) <= 2 * merger.FAN
    assert await ask(store, most.format(", level")) < merger.FAN
    await store.maintain()
    settled = " HAVING start + span < extract(epoch FROM now()) / 3600 - 1"
    assert await ask(store, most.format(settled)) == 1
    await checked(store)


async def test_stores_and_compactions_at_once_lose_and_repeat_nothing(migrated_url: str) -> None:
    async with opened(migrated_url) as one, opened(migrated_url) as two:

        async def write(store: PostgresStore, seed: int) -> None:
            dice = random.Random(seed)
            for _ in range(15):
                await store.write([a_job(*some(20, dice))])

        async def compact(store: PostgresStore) -> None:
            while True:
                await store.compact()
                await checked(store)

        async with anyio.create_task_group() as compacting:
            compacting.start_soon(compact, one)
            compacting.start_soon(compact, two)
            async with anyio.create_task_group() as writing:
                for seed in range(4):
                    writing.start_soon(write, (one, two)[seed % 2], seed)
            compacting.cancel_scope.cancel()

        async def drained() -> bool:
            """A compaction that was cancelled holds its lock until its session has ended."""
            await one.compact()
            return bool(await ask(one, "SELECT count(*) = 0 FROM rollup_deltas"))

        await until(drained)
        await checked(one)
        numbers = (
            "SELECT count(*) = count(DISTINCT number) AND max(number) + 1 = count(*) FROM people"
        )
        assert await ask(one, numbers)


async def test_memory_and_rows_do_not_grow_with_the_names_that_somebody_sends(
    store: PostgresStore,
) -> None:
    """5,000 a transaction; some of them are compacted before the day is found to have too many."""
    for first in range(0, 15_000, 5_000):
        names = (f"type-{first + at}" for at in range(5_000))
        await store.write([a_job(*(an_event(timestamp=NOW, event_type=name) for name in names))])
    tracemalloc.start()
    try:
        assert await store.compact() == 15_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000
    assert await ask(store, "SELECT count(*) FROM rollups") < 1_000


async def test_a_compaction_takes_so_many_cells_or_one_larger_delta(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(3)
    for _ in range(6):
        await store.write([a_job(*some(20, dice))])
    taken: list[int] = []
    pack = compaction._pack

    def noted(waiting: Sequence[Delta], *rest: Any) -> Any:
        taken.append(len(waiting))
        return pack(waiting, *rest)

    monkeypatch.setattr(compaction, "_pack", noted)
    monkeypatch.setattr(compaction, "MAX_CELLS", 1)
    assert await store.compact() == 120
    assert taken == [1] * 6
    assert all(report.complete for report in await checked(store))
