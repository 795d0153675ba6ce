"""Rollups equal raw rows after every store, compaction, merge, rebuild and crash."""

import random
from datetime import UTC, datetime
from typing import Any

import msgspec

from analytics.derived import deltas
from analytics.derived.cells import ANY, Cell, RollupKey, add_up, unpack
from analytics.derived.cells import Row as Packed
from analytics.derived.deltas import UNCOUNTED, Dimensions
from analytics.derived.instants import DAY_SPAN, day_of
from analytics.events import Event
from analytics.stores import PostgresStore
from analytics.stores.upkeep.verify import DayReport, verify
from tests.stores.conftest import NOW, a_job, ago, an_event

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


async def test_what_is_poison_or_a_duplicate_is_in_no_rollup(store: PostgresStore) -> None:
    good, poison = an_event(), an_event(metadata=b'{"page":"\\u0000"}')
    await store.write([a_job(good, poison, good)])
    await store.write([a_job(good)])
    await store.compact()
    day = day_of(NOW)
    assert (await total(store, RollupKey(DAY_SPAN, day, ANY, ANY, ANY)))[None].count == 1
    await checked(store)
