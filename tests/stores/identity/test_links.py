"""Links follow from what events say, whatever the order in which they are stored."""

import itertools
import uuid
from typing import Any

import msgspec
import pytest

from analytics.events import Event
from analytics.stores import PostgresStore
from tests.stores.conftest import a_job, ago, an_event


def saying(user: str, minutes: float = 0, event_type: str = "page", **names: Any) -> Event:
    """An event of so many minutes ago."""
    metadata = msgspec.json.encode({f"${name}": value for name, value in names.items()})
    at = ago(minutes=minutes)
    return an_event(user_id=user, event_type=event_type, metadata=metadata, timestamp=at)


async def links(store: PostgresStore) -> dict[str, str]:
    return dict(await store._pool.fetch("SELECT actor, person FROM identity_links"))


async def version(store: PostgresStore) -> int | None:
    number: int | None = await store._pool.fetchval("SELECT version FROM identity_versions")
    return number


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
async def test_the_earliest_claim_counts_and_aliases_join_in_any_order(
    plain_store: PostgresStore, order: tuple[int, ...]
) -> None:
    events = [
        saying("ben", 1, anonymous_id="device"),
        saying("ada", 2, anonymous_id="device"),
        saying("eve", 3, anonymous_id="phone"),
        saying("ada", 4, event_type="alias", previous_id="eve"),
    ]
    for place in order:
        await plain_store.write([a_job(events[place])])
    persons = {actor: who for actor, who in (await links(plain_store)).items() if actor != who}
    assert persons == {"device": "ada", "phone": "ada", "eve": "ada"}


async def test_who_loses_a_device_to_an_earlier_claim_is_a_person_alone_again(
    plain_store: PostgresStore,
) -> None:
    await plain_store.write([a_job(saying("abe", event_type="alias", previous_id="device"))])
    await plain_store.write([a_job(saying("ben", 2, anonymous_id="device"))])
    assert (await links(plain_store))["ben"] == "abe"
    await plain_store.write([a_job(saying("ada", 3, anonymous_id="device"))])
    assert await links(plain_store) == {"device": "abe", "ada": "abe", "abe": "abe", "ben": "ben"}


async def test_of_claims_at_one_instant_that_of_the_smaller_event_id_counts(
    plain_store: PostgresStore,
) -> None:
    for user, number in (("ben", 9), ("ada", 1), ("eve", 5)):
        claim = msgspec.structs.replace(saying(user, anonymous_id="d"), id=uuid.UUID(int=number))
        await plain_store.write([a_job(claim)])
    assert (await links(plain_store))["d"] == "ada"


async def test_the_version_goes_up_only_when_something_new_is_said(
    plain_store: PostgresStore,
) -> None:
    await plain_store.write([a_job(saying("ada"))])
    assert await version(plain_store) is None
    await plain_store.write([a_job(saying("ada", 2, anonymous_id="d"))])
    assert await version(plain_store) == 1
    await plain_store.write([a_job(saying("ada", 1, anonymous_id="d"))])
    await plain_store.write([a_job(saying("ben", 1, anonymous_id="d"))])
    assert await version(plain_store) == 1
    await plain_store.write([a_job(saying("ben", 3, anonymous_id="d"))])
    assert await version(plain_store) == 2
