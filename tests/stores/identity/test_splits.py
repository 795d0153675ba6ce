"""Splits: what was joined wrongly is apart, and stays so until somebody says it again."""

import uuid
from unittest.mock import patch

import msgspec
import pytest

from analytics.stores import PostgresStore
from analytics.stores.identity import persons, splits
from analytics.stores.identity.links import take_turn
from tests.stores.conftest import a_job
from tests.stores.identity.test_links import saying
from tests.stores.identity.test_persons import alias, chained, consistent, few_names, names

AHEAD = -12 * 60
"""So many minutes ago are after any split of this run."""


async def split(store: PostgresStore, name: str, other: str = "") -> None:
    async with store._pool.acquire() as connection, connection.transaction():
        version = await take_turn(connection, "default")
        await splits.split(connection, "default", version, name, other)


@pytest.mark.parametrize("few", [50, 2])
async def test_a_name_that_joined_many_is_apart_and_so_are_they(
    plain_store: PostgresStore, few: int
) -> None:
    with few_names(few):
        await plain_store.write([a_job(*(alias("everybody", f"u{at}") for at in range(5)))])
        await plain_store.write([a_job(saying("u3", anonymous_id="phone"))])
        assert {*(await names(plain_store)).values()} == {"u0"}
        await split(plain_store, "everybody")
        assert await names(plain_store) == {
            name: name for name in ("everybody", "u0", "u1", "u2", "u3", "u4")
        } | {"phone": "u3"}
        await consistent(plain_store)


async def test_only_what_links_two_names_may_go(plain_store: PostgresStore) -> None:
    await plain_store.write(
        [a_job(saying("ada", anonymous_id="phone"), alias("ada", "ben"), alias("eve", "ada"))]
    )
    await split(plain_store, "ben", "ada")
    assert await names(plain_store) == {"ada": "ada", "phone": "ada", "eve": "ada", "ben": "ben"}


async def test_no_event_from_before_joins_again_however_late_it_comes_and_one_from_after_does(
    plain_store: PostgresStore,
) -> None:
    wrong = [saying("ada", 5, anonymous_id="phone"), saying("ben", 5, "alias", previous_id="ada")]
    await plain_store.write([a_job(*wrong)])
    await split(plain_store, "ada")
    apart = {"ada": "ada", "phone": "phone", "ben": "ben"}
    assert await names(plain_store) == apart
    await plain_store.write([a_job(*wrong)])
    await plain_store.write(
        [a_job(*(msgspec.structs.replace(one, id=uuid.uuid4()) for one in wrong))]
    )
    assert await names(plain_store) == apart
    await plain_store.write([a_job(saying("ben", 5, anonymous_id="phone"))])
    assert await names(plain_store) == {**apart, "phone": "ben"}, "others may have what she had"
    await plain_store.write([a_job(saying("ada", AHEAD, "alias", previous_id="ben"))])
    assert {*(await names(plain_store)).values()} == {"ada"}


async def test_of_claims_in_one_transaction_the_earliest_counts_that_a_split_lets_through(
    plain_store: PostgresStore,
) -> None:
    await plain_store.write([a_job(saying("ada", 9, anonymous_id="phone"))])
    await split(plain_store, "ada")
    late = [
        saying(user, minutes, anonymous_id="phone") for user, minutes in (("ada", 8), ("ben", 7))
    ]
    await plain_store.write([a_job(*late)])
    assert (await names(plain_store))["phone"] == "ben"


async def test_a_person_of_more_names_than_there_may_be_is_split_and_the_rest_stays_whole(
    plain_store: PostgresStore,
) -> None:
    await chained(plain_store, 300)
    with patch.object(persons, "MAX_NAMES", 100), patch.object(persons, "MAX_READ", 100):
        await split(plain_store, "n120")
    known = await names(plain_store)
    assert {known["n0"], known["n119"]} == {"n119"}
    assert (known["n120"], known["n121"], known["n299"]) == ("n120", "n299", "n299")
    await consistent(plain_store)


async def test_a_user_who_has_no_device_left_may_be_claimed(plain_store: PostgresStore) -> None:
    claims = [saying("ada", 5, anonymous_id="phone"), saying("ben", 5, anonymous_id="ada")]
    await plain_store.write([a_job(*claims)])
    assert (await names(plain_store)).get("ben", "ben") == "ben"
    await split(plain_store, "phone")
    assert (await names(plain_store))["ada"] == "ben"


async def test_a_split_lets_nothing_of_another_project_through(plain_store: PostgresStore) -> None:
    await split(plain_store, "ada")
    mine = saying("ada", AHEAD, "alias", previous_id="ben")
    others = msgspec.structs.replace(
        saying("ada", AHEAD, "alias", previous_id="eve"), project="other", id=uuid.uuid4()
    )
    await plain_store.write([a_job(mine, others)])
    linked = await plain_store._pool.fetch(
        "SELECT project, actor FROM identity_links ORDER BY project, actor"
    )
    assert [tuple(row) for row in linked] == [
        ("default", "ada"), ("default", "ben"), ("other", "ada"), ("other", "eve"),
    ]  # fmt: skip


async def test_a_second_split_of_the_same_name_cuts_what_came_after_the_first(
    plain_store: PostgresStore,
) -> None:
    said = saying("ada", 5, anonymous_id="phone")
    await plain_store.write([a_job(said)])
    await split(plain_store, "ada")
    await plain_store._pool.execute("UPDATE identity_splits SET at = at - interval '1 day'")
    again = msgspec.structs.replace(said, id=uuid.uuid4())
    await plain_store.write([a_job(again)])
    assert (await names(plain_store))["phone"] == "ada", "it is of after that split"
    await split(plain_store, "ada")
    await plain_store.write([a_job(msgspec.structs.replace(said, id=uuid.uuid4()))])
    assert (await names(plain_store))["phone"] == "phone"
