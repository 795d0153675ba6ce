"""Rollups equal raw rows after every store, compaction, merge, rebuild and crash."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import msgspec
import pytest

from analytics.derived import deltas
from analytics.derived.cells import ANY, Cell, RollupKey, add_up, unpack
from analytics.derived.cells import Row as Packed
from analytics.derived.deltas import UNCOUNTED, Dimensions
from analytics.derived.instants import BEGINNING, DAY_SPAN, HOUR_SPAN, day_of
from analytics.events import Event
from analytics.stores import PostgresStore
from analytics.stores.upkeep import compaction, coverage, rebuild
from analytics.stores.upkeep.verify import DayReport, verify
from tests.stores.conftest import NOW, a_job, ago, an_event, ask, connected, opened, until

DIMENSIONS = Dimensions(("page", "$os"))

INSERT_WITHOUT_DELTA = """
INSERT INTO raw_events (session_id, event_type, event_action, timestamp)
VALUES ('stranger', 'engagement', 'click', $1)
"""
FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def some(n: int, dice: random.Random, **changes: Any) -> list[Event]:
    """Plausible events of the last three days; some share people, pages or hours."""
    pages = ["/", "/pricing", "/ü", None, 7, "x" * 256, {"a": 1}]
    return [
        an_event(
            session_id=f"s{dice.randrange(20)}",
            user_id=dice.choice([None, "u1", "u2", "s1"]),
            event_type=dice.choice(["engagement", "navigation", "*"]),
            event_action=dice.choice(["click", "view"]),
            metadata=msgspec.json.encode(
                {
                    "page": dice.choice(pages),
                    "other": [1, {"page": "/"}],
                    "$os": dice.choice(["Linux", "macOS"]),
                }
            ),
            timestamp=ago(hours=dice.choice([0, 0, 0, 1, 25, 60])),
            named=dice.random() < 0.5,
            **changes,
        )
        for _ in range(n)
    ]


async def checked(store: PostgresStore, project: str = "default") -> list[DayReport]:
    """What `verify` says of every day; asserts that it finds no difference."""
    async with store._pool.acquire() as connection:
        reports = [report async for report in verify(connection, project, FIRST, LAST, DIMENSIONS)]
    assert [difference for report in reports for difference in report.differences] == []
    return reports


async def total(
    store: PostgresStore, key: RollupKey, project: str = "default"
) -> dict[str | None, Cell]:
    """The sum of the rows of a key, without deltas."""
    query = (
        "SELECT counts, people FROM rollups WHERE"
        " (project, span, start, key, event_type, event_action) = ($1, $2, $3, $4, $5, $6)"
    )
    rows = await store._pool.fetch(query, project, *key)
    return add_up(unpack(Packed(*row)) for row in rows)


def test_a_value_that_all_events_of_a_group_have_is_said_once() -> None:
    pages = ["/", "/", "/a", "x" * 256]
    for of_group, positions in (
        (pages, [0, 0, 1, UNCOUNTED]),
        (pages[:2], 0),
        (pages[3:], UNCOUNTED),
    ):
        events = [
            an_event(timestamp=NOW, metadata=msgspec.json.encode({"page": page}))
            for page in of_group
        ]
        built = deltas.build(events, range(len(events)), DIMENSIONS)["default"]
        delta = deltas.unpack(deltas.pack(built))
        [group] = delta.groups
        assert group.positions == [positions, delta.values.index(None)]
        assert group.people_of(1) == {delta.values.index(None): group.people}
        every = [
            person
            for position, people in group.people_of(0).items()
            for person in people
            if position != UNCOUNTED
        ]
        assert every == [person for person, page in enumerate(of_group) if len(page) < 256]


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
    assert (await total(store, RollupKey(DAY_SPAN, day, "page", "engagement", "buy")))[
        None
    ].count == 1
    assert [report.complete for report in await checked(store)] == [True]


async def test_rollups_and_deltas_say_what_raw_rows_say_at_every_moment(
    store: PostgresStore,
) -> None:
    dice = random.Random(1)
    for turn in range(20):
        events = some(dice.randrange(1, 30), dice)
        await store.write([a_job(*events)])
        if dice.random() < 0.3:
            await store.write([a_job(*dice.sample(events, len(events) // 2))])
        if turn % 3:
            await store.compact()
        if turn % 5 == 0:
            assert all(report.complete for report in await checked(store))
    await store.maintain()
    await checked(store)


async def test_parts_are_merged_as_they_become_many_and_to_one_when_their_time_is_over(
    store: PostgresStore,
) -> None:
    dice = random.Random(2)
    for _ in range(compaction.FAN * compaction.FAN):
        await store.write([a_job(*some(2, dice))])
        await store.compact()
    most = (
        "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM rollups WHERE key = ''"
        " GROUP BY span, start, event_type, event_action{}) AS parts"
    )
    assert await ask(store, most.format("")) <= 2 * compaction.FAN
    assert await ask(store, most.format(", level")) < compaction.FAN
    await store.maintain()
    settled = " HAVING start + span < extract(epoch FROM now()) / 3600 - 1"
    assert await ask(store, most.format(settled)) == 1
    await checked(store)


async def test_people_have_one_dense_number_each_in_their_project(store: PostgresStore) -> None:
    dice = random.Random(3)
    for project in ("a", "b"):
        for _ in range(3):
            await store.write([a_job(*some(20, dice, project=project))])
    numbers = "SELECT array_agg(number ORDER BY number) FROM people WHERE project = $1"
    actors = (
        "SELECT count(DISTINCT coalesce(user_id, session_id)) FROM raw_events WHERE project = $1"
    )
    for project in ("a", "b"):
        assert await ask(store, numbers, project) == list(range(await ask(store, actors, project)))


async def test_a_transaction_that_fails_leaves_neither_people_nor_deltas(
    store: PostgresStore,
) -> None:
    await store.write([a_job(an_event(user_id="first"))])
    async with store._pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        recorded = await store._recorder.record(connection, [an_event(user_id="never")])
        await undone.rollback()
    assert recorded.people["default", "never"] == 1
    await store.write([a_job(an_event(user_id="second"))])
    assert await ask(store, "SELECT array_agg(actor || number ORDER BY number) FROM people") == [
        "first0",
        "second1",
    ]
    await store.compact()
    await checked(store)


async def test_what_is_poison_or_a_duplicate_is_in_no_rollup(store: PostgresStore) -> None:
    good, poison = an_event(), an_event(metadata=b'{"page":"\\u0000"}')
    await store.write([a_job(good, poison, good)])
    await store.write([a_job(good)])
    await store.compact()
    day = day_of(NOW)
    assert (await total(store, RollupKey(DAY_SPAN, day, ANY, ANY, ANY)))[None].count == 1
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


# rows that others write


async def test_a_row_written_without_a_delta_makes_its_day_incomplete_until_it_is_healed(
    store: PostgresStore,
) -> None:
    await store.write([a_job(*some(20, random.Random(4)))])
    await store.compact()
    await store._pool.execute(INSERT_WITHOUT_DELTA, NOW)
    today = [report for report in await checked(store) if not report.complete]
    assert [day_of(report.day) for report in today] == [day_of(NOW)]
    await store.maintain()
    assert all(report.complete for report in await checked(store))
    day = RollupKey(DAY_SPAN, day_of(NOW), ANY, ANY, ANY)
    assert (await total(store, day))[None].count == await ask(
        store,
        "SELECT count(*) FROM raw_events WHERE timestamp >= date_trunc('day', $1, 'UTC')",
        NOW,
    )


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM raw_events WHERE user_id = 'u1'",
        "UPDATE raw_events SET user_id = 'other' WHERE user_id = 'u1'",
    ],
)
async def test_rows_changed_by_hand_are_read_again(store: PostgresStore, change: str) -> None:
    await store.write([a_job(*some(50, random.Random(5)))])
    await store.compact()
    await store._pool.execute(change)
    assert not all(report.complete for report in await checked(store))
    await store.maintain()
    assert all(report.complete for report in await checked(store))


# rebuild and verify


async def as_before_the_migration(store: PostgresStore) -> None:
    """Rows but no rollups, as revision 0002 finds them."""
    await store._pool.execute(
        "DELETE FROM rollups; DELETE FROM rollup_deltas;"
        " DELETE FROM people; DELETE FROM people_last"
    )
    await store._pool.execute("UPDATE rollup_since SET start = $1", day_of(NOW) + 48)


async def test_history_is_rebuilt_from_the_newest_day_to_the_oldest_and_goes_on_where_it_was(
    store: PostgresStore,
) -> None:
    await store.write([a_job(*some(60, random.Random(6)))])
    await as_before_the_migration(store)
    store._recorder.__init__(("page", "$os"))  # type: ignore[misc]
    assert not any(report.complete for report in await checked(store))
    async with store._pool.acquire() as connection:
        first = await anext(rebuild.missing(connection, "default", DIMENSIONS))
        assert first == day_of(NOW)
    assert [report.complete for report in await checked(store)][-1]
    await store.write([a_job(*some(10, random.Random(7)))])
    async with store._pool.acquire() as connection:
        rest = [day async for day in rebuild.missing(connection, "default", DIMENSIONS)]
        assert rest == sorted(rest, reverse=True)
        assert first not in rest
        assert await rebuild.finish(connection)
    assert all(report.complete for report in await checked(store))
    assert await coverage.since(store._pool, "any other") == BEGINNING
    await store.write([a_job(*some(10, random.Random(8)))])
    await store.compact()
    assert all(report.complete for report in await checked(store))


async def test_a_project_made_after_the_migration_is_incomplete_until_rebuilds_are_finished(
    store: PostgresStore,
) -> None:
    await store._pool.execute("UPDATE rollup_since SET start = $1", day_of(NOW) + 48)
    await store.write([a_job(*some(10, random.Random(9), project="new"))])
    await store.compact()
    assert not any(report.complete for report in await checked(store, "new"))
    async with store._pool.acquire() as connection:
        assert not await rebuild.finish(connection)
        [day async for day in rebuild.missing(connection, "new", DIMENSIONS)]
        assert await rebuild.finish(connection)
    assert all(report.complete for report in await checked(store, "new"))


async def test_events_are_stored_while_a_rebuild_runs(migrated_url: str) -> None:
    async with opened(migrated_url) as store, connected(migrated_url) as connection:
        await store.write([a_job(*some(60, random.Random(10)))])

        async def write() -> None:
            dice = random.Random(11)
            while True:
                await store.write([a_job(*some(10, dice))])
                await store.compact()

        async with anyio.create_task_group() as group:
            group.start_soon(write)
            for _ in range(5):
                for hours in (0, 25, 60):
                    await rebuild.day(connection, "default", day_of(ago(hours=hours)), DIMENSIONS)
            group.cancel_scope.cancel()
        await checked(store)
        await store.compact()
        await checked(store)


async def test_a_stray_row_that_commits_during_a_rebuild_stays_marked(migrated_url: str) -> None:
    async with (
        opened(migrated_url) as store,
        connected(migrated_url) as stranger,
        connected(migrated_url) as connection,
    ):
        await store.write([a_job(*some(10, random.Random(12)))])
        await stranger.execute(INSERT_WITHOUT_DELTA, NOW)
        async with stranger.transaction():
            await stranger.execute(INSERT_WITHOUT_DELTA, NOW)
            await rebuild.day(connection, "default", day_of(NOW), DIMENSIONS)
        assert not all(report.complete for report in await checked(store))
        await store.maintain()
        assert all(report.complete for report in await checked(store))


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE rollups SET counts = '\\x9291c091cd03e7'"
        " WHERE key = '' AND event_type = '' AND span = 1",
        "DELETE FROM rollups WHERE key = '' AND event_type = 'engagement'",
        "UPDATE rollups SET event_action = 'other' WHERE event_action = 'click'",
        "UPDATE rollups SET start = start + 24 WHERE span = 24",
    ],
)
async def test_verify_finds_a_row_that_is_not_true(store: PostgresStore, tampering: str) -> None:
    event = an_event(timestamp=ago(hours=1))
    await store.write([a_job(event)])
    await store.compact()
    await checked(store)
    await store._pool.execute(tampering)
    with pytest.raises(AssertionError):
        await checked(store)


async def test_rollups_go_before_the_raw_rows_they_were_made_from(migrated_url: str) -> None:
    old = ago(days=100)
    async with opened(migrated_url, retention_days=90) as store:
        await store.write([a_job(an_event(timestamp=old), an_event())])
        await store.compact()
        assert [report.complete for report in await checked(store)] == [True, True]
        await store.maintain()
        assert await ask(store, "SELECT count(*) FROM raw_events") == 1
        assert (
            await ask(store, "SELECT count(*) FROM rollups WHERE start <= $1", day_of(old) + 24)
            == 0
        )
        assert await coverage.since(store._pool, "default") > day_of(old)
        await store.write([a_job(an_event(timestamp=old))])
        await store.compact()
        assert [report.complete for report in await checked(store)] == [False, True]
