"""People go with their last event, on every layout, and nobody else; who comes back is new."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from pyroaring import BitMap

from analytics.derived import cells
from analytics.errors import TransientStoreError
from analytics.events import Event
from analytics.stores import PostgresStore, locks
from analytics.stores.layouts.timescale import TimescaleApache
from analytics.stores.upkeep import coverage, living, pruning, rebuild
from analytics.stores.upkeep.living import Living
from analytics.tables import metadata
from tests.stores.conftest import NOW, a_job, ago, an_event, ask, connected, opened
from tests.stores.identity.test_links import saying
from tests.stores.identity.test_persons import few_names, names
from tests.stores.layouts.test_timescale import policies, run_policy
from tests.stores.upkeep.test_rollups import DIMENSIONS, checked

RETENTION_DAYS = 30
IDS = ("people.actor", "identity_links.actor", "identity_links.person", "identity_claims.other",
       "identity_claims.person", "identity_aliases.other", "identity_aliases.person",
       "identity_persons.person", "identity_persons.name", "identity_splits.name",
       "identity_splits.other", "raw_events.user_id", "raw_events.session_id")  # fmt: skip
"""Every column that holds a name. Dead letters are kept until somebody purges them."""


@pytest.fixture(params=["plain", "timescale", "timescale-apache"])
def layout_and_url(request: pytest.FixtureRequest) -> tuple[str, str]:
    fixture = "migrated_url" if request.param == "plain" else "timescale_url"
    return request.param, request.getfixturevalue(fixture)


@pytest.fixture
async def layered(layout_and_url: tuple[str, str]) -> AsyncIterator[PostgresStore]:
    """A store that keeps events for RETENTION_DAYS, on each layout."""
    layout, url = layout_and_url
    async with opened(url, retention_days=RETENTION_DAYS) as store:
        if layout == "timescale-apache":
            store.layout = TimescaleApache()
        yield store
        if layout != "plain":
            await policies(store)


def seen(user: str | None, days: float, session: str = "s", **changes: Any) -> Event:
    return an_event(user_id=user, session_id=session, timestamp=ago(days=days), **changes)


async def store_all(store: PostgresStore, *events: Event) -> None:
    await store.write([a_job(*events)])
    while await store.compact():
        pass


async def forget(store: PostgresStore) -> None:
    """What is too old goes, as the layout does it; then a new day begins."""
    await store.maintain()
    if store.layout.name == "timescale":
        await run_policy(store, "policy_retention")
    await tomorrow(store)


async def tomorrow(store: PostgresStore) -> None:
    await store._pool.execute("UPDATE people_pruning SET day = day - 1")


async def people(store: PostgresStore, project: str = "default") -> dict[str, int]:
    rows = await store._pool.fetch("SELECT actor, number FROM people WHERE project = $1", project)
    return dict(rows)


async def holders(store: PostgresStore, name: str) -> set[str]:
    """The columns that hold a name."""
    found = set()
    for column in IDS:
        table, _, field = column.partition(".")
        if await ask(store, f"SELECT count(*) FROM {table} WHERE {field} = $1", name):
            found.add(column)
    return found


def test_every_column_with_a_name_is_looked_at_here() -> None:
    texts = {
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name in ("actor", "person", "other", "name", "user_id", "session_id")
    }
    assert texts - {*IDS} == {"people_pruning.actor", "projects.name", "api_keys.name"}


async def test_who_has_no_event_left_is_gone_everywhere_and_others_keep_their_numbers(
    layered: PostgresStore,
) -> None:
    store = layered
    await store_all(
        store,
        seen("gone", 60), seen(None, 60, "gone-session"), seen("back", 60),
        seen("stays", 60), seen("stays", 1), seen(None, 0, "visitor"),
        seen("elsewhere", 60, project="shop"), seen("gone", 1, project="shop"),
        saying("lost", 60 * 24 * 60, anonymous_id="lost-phone"),
        saying("lost", 60 * 24 * 60, "alias", previous_id="lost-name"),
        saying("known", 60 * 24 * 60, anonymous_id="old-phone"), seen("known", 1),
    )  # fmt: skip
    for one, other in (("back", "stays"), ("stays", "back")):  # whatever links them or does not
        named = f"'default', '{one}', '{other}'"
        await store._pool.execute(
            f"INSERT INTO identity_splits VALUES ({named}, now());"
            f"INSERT INTO identity_aliases VALUES ({named});"
            f"INSERT INTO identity_claims VALUES ({named}, now(), gen_random_uuid())"
        )
    before = await people(store)
    assert await holders(store, "lost-phone") > {"people.actor", "identity_links.actor"}
    await forget(store)
    assert (
        await ask(store, "SELECT count(*) FROM raw_events WHERE timestamp < $1", ago(days=40)) == 0
    )
    await store.maintain()
    for name in ("gone-session", "back", "lost", "lost-phone", "lost-name"):
        assert await holders(store, name) == set(), name
    after = await people(store)
    kept = {"stays", "visitor", "known", "old-phone"}
    assert after == {name: before[name] for name in kept}
    assert (await people(store, "shop")).keys() == {"gone"}
    assert (await names(store))["old-phone"] == "known"
    await store_all(store, seen("back", 0), seen("new", 0))
    now = await people(store)
    assert min(now["back"], now["new"]) > max(before.values()), "no number is given twice"
    assert {name: now[name] for name in kept} == after
    await checked(store)
    async with store._pool.acquire() as connection:
        day = await connection.fetchval("SELECT max(start) FROM rollups WHERE span = 24")
        await rebuild.day(connection, "default", day, DIMENSIONS)
    await checked(store)
    assert await people(store) == now


async def test_a_person_is_whole_as_long_as_one_of_the_names_has_an_event(
    plain_store: PostgresStore,
) -> None:
    with few_names(2):
        links = [saying("a", 60 * 24 * 60, "alias", previous_id=f"n{at}") for at in range(6)]
        await store_all(plain_store, *links, seen("n3", 1))
        plain_store._settings = _retention(plain_store)
        await forget(plain_store)
        await plain_store.maintain()
        assert (await people(plain_store)).keys() == {"a", *(f"n{at}" for at in range(6))}
        assert {*(await names(plain_store)).values()} == {"a"}


def _retention(store: PostgresStore) -> Any:
    return msgspec.structs.replace(store._settings, retention_days=RETENTION_DAYS)


async def test_a_round_goes_on_where_it_stopped_and_is_done_once_a_day(
    plain_store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "PAGE_PEOPLE", 3)
    monkeypatch.setattr(pruning, "MAX_REMOVED", 2)
    plain_store._settings = _retention(plain_store)
    await store_all(plain_store, *(seen(f"u{at}", 60 if at % 2 else 1) for at in range(20)))
    await store_all(plain_store, *(seen(f"v{at}", 60, project="shop") for at in range(5)))
    await forget(plain_store)
    removed = []
    async with plain_store._pool.acquire() as connection:
        for _ in range(40):
            removed.append(await pruning.prune(connection, seconds=-1))
            if await connection.fetchval(
                "SELECT day = (now() AT TIME ZONE 'UTC')::date FROM people_pruning"
            ):
                break
        assert len(removed) > 8
        assert (sum(removed), max(removed)) == (15, 3)
        await plain_store.write([a_job(seen("w", 60))])
        assert await pruning.prune(connection) == 0
    assert len(await people(plain_store)) == 11
    assert await people(plain_store, "shop") == {}


def test_a_transaction_removes_so_many_names_or_one_person_with_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pruning, "MAX_REMOVED", 3)
    some = [
        pruning.Person(None, frozenset(f"{at}-{n}" for n in range(names)), BitMap())
        for at, names in enumerate((2, 1, 1, 5, 1))
    ]
    batches = [[len(person.names) for person in batch] for batch in pruning._batches(some)]
    assert batches == [[2, 1], [1], [5], [1]]


@pytest.fixture
async def old(plain_store: PostgresStore) -> PostgresStore:
    """A store in which old, older and their phone have no events any more."""
    plain_store._settings = _retention(plain_store)
    await store_all(
        plain_store, seen("old", 60), seen("young", 1),
        saying("older", 60 * 24 * 60, anonymous_id="phone"), seen("older", 60),
    )  # fmt: skip
    await forget(plain_store)
    return plain_store


async def pruned_while(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, *events: Event
) -> set[str]:
    """Who is left after these events were stored between the last look and the removal."""
    catch_up, looks = Living.catch_up, 0

    async def late(self: Living) -> None:
        nonlocal looks
        await catch_up(self)
        looks += 1
        if looks == 2:  # the first is for all of the project, the second before the lock
            await store.write([a_job(*events)])

    monkeypatch.setattr(Living, "catch_up", late)
    await store.maintain()
    assert looks == 3
    return {*await people(store)}


async def test_who_comes_back_while_people_go_is_not_removed(
    old: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await people(old))["old"]
    assert await pruned_while(old, monkeypatch, seen("old", 0)) == {"old", "young"}
    assert (await people(old))["old"] == number
    await checked(old)


@pytest.mark.parametrize("claimed", ["phone", "old"])
async def test_whom_somebody_claims_while_people_go_is_not_removed(
    old: PostgresStore, monkeypatch: pytest.MonkeyPatch, claimed: str
) -> None:
    saying_so = saying("young", 0, "alias", previous_id=claimed)
    left = await pruned_while(old, monkeypatch, saying_so)
    if claimed == "phone":
        assert left == {"young", "older", "phone"}
        assert {*(await names(old)).values()} == {"older"}
    else:
        assert left == {"young", "old"}
        assert {*(await names(old)).values()} == {"young"}


async def test_a_processor_that_remembers_a_number_looks_it_up_again_once_people_went(
    old: PostgresStore, migrated_url: str
) -> None:
    async with opened(migrated_url) as other:
        await other.write([a_job(seen("young", 0))])
        number = (await people(old))["old"]
        other._recorder._people.remember({("default", "old"): number})
        await old.maintain()
        assert {*await people(old)} == {"young"}
        await other.write([a_job(seen("old", 0))])
    assert (await people(old))["old"] > number
    await old.compact()
    await checked(old)


async def test_a_removal_does_not_wait_long_for_an_open_transaction_and_is_done_later(
    old: PostgresStore, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "LOCK_SECONDS", 0.2)
    before = await people(old)
    async with connected(migrated_url) as busy, busy.transaction():
        await busy.execute(f"SELECT pg_advisory_xact_lock_shared({locks.LEDGER_TURN})")
        await old.maintain()
        assert await people(old) == before
    await old.maintain()
    assert {*await people(old)} == {"young"}


@pytest.mark.parametrize("how", ["by hand", "late", "uncounted"])
async def test_whoever_only_raw_rows_know_of_stays(plain_store: PostgresStore, how: str) -> None:
    """Rows that an operator inserts, rows older than rollups reach, days that do not add up."""
    store = plain_store
    await store_all(store, seen("a", 3), seen("b", 3))
    if how == "by hand":
        await store._pool.execute(
            "INSERT INTO people VALUES ('default', 'c', 7);"
            "INSERT INTO raw_events (session_id, event_type, event_action, timestamp)"
            f" VALUES ('c', 'x', 'y', '{ago(days=2).isoformat()}')"
        )
    elif how == "late":
        await store._pool.execute("UPDATE rollup_since SET start = $1", _hours(1))
        await store._pool.execute("DELETE FROM rollups")
    else:
        await store._pool.execute("DELETE FROM rollups WHERE span = 24")
    await tomorrow(store)
    async with store._pool.acquire() as connection:
        await pruning.prune(connection)
    assert {*await people(store)} == {"a", "b", *(["c"] if how == "by hand" else [])}


async def test_a_day_of_very_many_names_is_known_from_its_rollups(
    plain_store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it is a stray to questions: its rows over all names have everybody."""
    monkeypatch.setattr(cells, "MAX_NAMES", 2)
    await store_all(plain_store, *(seen(name, 3, event_type=f"t{name}") for name in "abc"))
    assert await ask(plain_store, coverage.COUNT_NAMELESS) == 1
    monkeypatch.setattr(living, "SEEN", "SELECT 'no raw rows are read'")
    async with plain_store._pool.acquire() as connection:
        alive = Living(connection, "default")
        await alive.read()
    assert {*alive.numbers} == {*(await people(plain_store)).values()}


def _hours(days: float) -> int:
    return int((NOW - timedelta(days=days)).timestamp() // 3600)


async def test_a_user_whose_only_device_went_may_be_claimed_by_others(
    plain_store: PostgresStore,
) -> None:
    store = plain_store
    store._settings = _retention(store)
    old = 60 * 24 * 60
    await store_all(
        store,
        saying("ben", old, anonymous_id="laptop"),
        saying("ada", old, anonymous_id="ben"),
        saying("cat", old, anonymous_id="ada"),
        seen("ada", 1), seen("cat", 1), seen("ben", 60),
    )  # fmt: skip
    known = await names(store)
    assert known.get("ada", "ada") == "ada"
    await forget(store)
    await store.maintain()
    assert {*await people(store)} == {"ada", "cat"}
    assert (await names(store))["ada"] == "cat", "ada has claimed nobody who is left"


async def test_a_project_that_takes_too_long_to_read_keeps_no_other_from_its_turn(
    plain_store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it took, and whether it or the database ended it."""
    await store_all(plain_store, *(seen("u", 1, project=name) for name in "abcd"))
    await plain_store._pool.execute("TRUNCATE raw_events, rollups, rollup_deltas, daily_metrics")
    await tomorrow(plain_store)
    read = Living.read

    async def slow(self: Living) -> None:
        if self._project == "b":
            await asyncio.Event().wait()
        if self._project == "c":
            raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")
        await read(self)

    monkeypatch.setattr(Living, "read", slow)
    monkeypatch.setattr(pruning, "READ_SECONDS", 0.5)
    async with plain_store._pool.acquire() as connection:
        for _ in range(10):
            await pruning.prune(connection, seconds=-1)
    left = {name for name in "abcd" if await people(plain_store, name)}
    assert left == {"b", "c"}
    monkeypatch.undo()
    await tomorrow(plain_store)
    async with plain_store._pool.acquire() as connection:
        await pruning.prune(connection)
    assert not [name for name in "abcd" if await people(plain_store, name)]


async def test_while_the_database_is_down_it_is_tried_again_later(old: PostgresStore) -> None:
    await old._pool.close()
    with pytest.raises(TransientStoreError):
        await old.maintain()
