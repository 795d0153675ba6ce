"""Merging: what is left out stays out, and what one part has and another leaves out adds up."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from analytics.derived import cells
from analytics.derived.cells import ANY
from analytics.derived.instants import DAY_SPAN
from analytics.derived.sparse import CONTENTS
from analytics.stores import PostgresStore
from analytics.stores.upkeep import coverage, merger, rebuild
from tests.stores.conftest import a_job, ago, an_event, ask, opened
from tests.stores.upkeep.full_parts import merge_full, written_full
from tests.stores.upkeep.test_rollups import DIMENSIONS, checked

LINUX: dict[str, Any] = {"$os": "Linux"}


@pytest.fixture
async def two(migrated_url: str) -> AsyncIterator[PostgresStore]:
    """A store of two dimensions."""
    async with opened(migrated_url, rollup_dimensions=DIMENSIONS.keys) as store:
        yield store


async def stored(store: PostgresStore, name: str, *metadata: dict[str, Any]) -> None:
    """Events of some hours ago by as many people, compacted as one part."""
    events = (
        an_event(
            event_type=name,
            user_id=f"{name}-{at}",
            metadata=msgspec.json.encode(each),
            timestamp=ago(hours=50),
        )
        for at, each in enumerate(metadata)
    )
    await store.write([a_job(*events)])
    await store.compact()


async def merge(store: PostgresStore) -> None:
    async with store._pool.acquire() as connection:
        while await merger.merge_ended(connection):
            pass


async def rows(store: PostgresStore) -> set[tuple[str, str]]:
    """Types and dimensions of the rows of days."""
    found = await store._pool.fetch(
        "SELECT DISTINCT event_type, key FROM rollups WHERE span = $1 AND key <> ''", DAY_SPAN
    )
    return {(row["event_type"], row["key"]) for row in found}


async def differences(store: PostgresStore) -> None:
    """Asserts that rollups equal raw rows, those of dimensions too."""
    assert all(report.complete for report in await checked(store))


async def test_a_dimension_without_values_has_no_row_before_and_after_a_merge(
    two: PostgresStore,
) -> None:
    for _ in range(2):
        await stored(two, "buy", {}, {})
        await stored(two, "view", LINUX, {})
        await differences(two)
        assert await rows(two) == {("view", "$os"), (ANY, "$os"), (ANY, CONTENTS)}
        await merge(two)
        await differences(two)
    assert await rows(two) == {("view", "$os"), (ANY, "$os"), (ANY, CONTENTS)}


async def test_what_one_part_leaves_out_adds_up_with_the_row_of_another(two: PostgresStore) -> None:
    await stored(two, "buy", {}, {})
    await stored(two, "buy", {}, LINUX, LINUX)
    await stored(two, "view", {})
    await merge(two)
    await differences(two)
    assert await total(two, "buy") == {None: 3, "Linux": 2}
    assert await total(two, ANY) == {None: 4, "Linux": 2}


async def total(store: PostgresStore, name: str) -> dict[str | None, int]:
    """The counts in the only row of a type and system."""
    [row] = await store._pool.fetch(
        "SELECT counts, people FROM rollups WHERE span = $1 AND key = '$os' AND event_type = $2"
        " AND event_action = ''",
        DAY_SPAN,
        name,
    )
    return {value: cell.count for value, cell in cells.unpack(cells.Row(*row)).items()}


async def test_however_few_rows_are_merged_at_a_time_the_sums_are_the_same(
    two: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merger, "MERGED_BYTES", 1)
    for _ in range(3):
        await stored(two, "buy", {}, LINUX)
        await stored(two, "view", {})
    await merge(two)
    await differences(two)
    assert await total(two, ANY) == {None: 6, "Linux": 3}


async def test_a_day_whose_parts_have_too_many_names_together_loses_its_rows_by_name(
    two: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "MAX_NAMES", 3)
    monkeypatch.setattr(merger, "MAX_NAMES", 3)
    for name in ("buy", "view", "play", "stop"):
        await stored(two, name, {}, LINUX)
    assert await ask(two, coverage.COUNT_NAMELESS) == 0
    await merge(two)
    assert await ask(two, coverage.COUNT_NAMELESS) == 1
    assert await ask(two, "SELECT count(*) FROM rollups WHERE event_type <> ''") == 0
    await differences(two)
    assert await total(two, ANY) == {None: 4, "Linux": 4}


async def test_full_parts_become_sparse_as_they_are_merged(two: PostgresStore) -> None:
    with written_full():
        await stored(two, "buy", {}, {})
        await stored(two, "view", LINUX)
    assert ("buy", "$os") in await rows(two)
    await stored(two, "buy", {})
    await merge(two)
    await differences(two)
    assert await rows(two) == {("view", "$os"), (ANY, "$os"), (ANY, CONTENTS)}
    assert await total(two, ANY) == {None: 3, "Linux": 1}


async def test_what_another_release_merged_is_not_taken_for_no_value(
    two: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It drops the row of too many values, which its part had; the others of the name had none."""
    monkeypatch.setattr(cells, "MAX_VALUES", 2)
    await stored(two, "buy", {}, {})
    await stored(two, "buy", {"$os": "a"}, {"$os": "b"})
    await stored(two, "buy", {"$os": "c"}, {"$os": "d"})
    await stored(two, "view", {})
    async with two._pool.acquire() as connection:
        await merge_full(connection)
    await differences(two)
    assert ("buy", "$os") not in await rows(two)
    await stored(two, "buy", {})
    await merge(two)
    assert await rows(two) == set()
    assert [report.complete for report in await checked(two)] == [False]
    async with two._pool.acquire() as connection:
        await rebuild.heal(connection, DIMENSIONS)
    await differences(two)
    assert await total(two, "buy") == {}


async def test_rows_of_too_many_values_are_empty_and_take_nothing_from_the_others(
    two: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "MAX_VALUES", 2)
    await stored(two, "buy", {"$os": "a"}, {"$os": "b"})
    await stored(two, "buy", {"$os": "c"})
    await stored(two, "view", {})
    await merge(two)
    await differences(two)
    assert await total(two, "buy") == {}
    assert await rows(two) == {("buy", "$os"), (ANY, "$os"), (ANY, CONTENTS)}


async def test_a_dimension_that_some_part_does_not_count_is_not_in_the_contents(
    two: PostgresStore, migrated_url: str
) -> None:
    await stored(two, "buy", {}, {})
    async with opened(migrated_url, rollup_dimensions=("page",)) as one:
        await stored(one, "view", LINUX)
    await merge(two)
    await differences(two)
    [(counts,)] = await two._pool.fetch(
        "SELECT counts FROM rollups WHERE span = $1 AND key = $2", DAY_SPAN, CONTENTS
    )
    assert cells.unpack_counts(counts) == (["page"], [0])


async def test_a_rebuilt_day_is_sparse(two: PostgresStore) -> None:
    with written_full():
        await stored(two, "buy", {}, {})
    async with two._pool.acquire() as connection:
        day = await connection.fetchval("SELECT start FROM rollups WHERE span = $1", DAY_SPAN)
        await rebuild.day(connection, "default", day, DIMENSIONS)
    await differences(two)
    assert await rows(two) == {(ANY, CONTENTS)}
