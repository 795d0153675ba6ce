"""What holds in every protocol that sends many events at once."""

import uuid

import pytest

from tests.protocols.bulks import BULKS, names, verdicts
from tests.protocols.captured import collector


def ids(count: int) -> list[str]:
    return [str(uuid.UUID(int=number + 1)) for number in range(count)]


@pytest.mark.parametrize("name", BULKS)
async def test_each_event_goes_by_its_own_key_though_the_first_has_none(name: str) -> None:
    bulk = BULKS[name]
    keys = (None, "shop-token", "ak_w_old", None, "shop-token")
    async with collector("shop-token") as client:
        events = [bulk.event(f"e{n}", keys[n], id_) for n, id_ in enumerate(ids(5))]
        status, answer = await bulk.send(client, *events)
        assert status == 200
        assert verdicts(name, answer) == [2]
        assert names(client) == [
            ("default", "e0"),
            ("shop", "e1"),
            ("default", "e3"),
            ("shop", "e4"),
        ]


@pytest.mark.parametrize("name", BULKS)
async def test_where_keys_are_required_an_event_without_one_costs_none_of_the_others(
    name: str,
) -> None:
    bulk = BULKS[name]
    async with collector("shop-token", require_write_key=True) as client:
        first, second = ids(2)
        events = bulk.event("keyless", None, first), bulk.event("keyed", "shop-token", second)
        status, answer = await bulk.send(client, *events)
        assert (status, verdicts(name, answer)) == (200, [0])
        assert names(client) == [("shop", "keyed")]
        assert (await bulk.send(client, events[0]))[0] in (400, 401)
