"""Admission at the collector: who may send, how much, and into which project."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from analytics.errors import Forbidden, RateLimited, Unauthorized, Unavailable
from analytics.projects import KeyCache
from analytics.roles.collector.intake import Intake
from analytics.roles.collector.limits import Limits
from analytics.settings import Settings
from tests.collecting import GOOD, Client, MemorySalts, MemorySink, Table, error_of, running
from tests.projects.kit import Shelf, a_key


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with running() as started:
        yield started


@pytest.mark.parametrize("where", ["body", "x-write-key", "authorization"])
async def test_a_write_key_decides_the_project(client: Client, where: str) -> None:
    body: dict[str, Any] = {"events": [GOOD]}
    headers = {}
    if where == "body":
        body["write_key"] = "ak_w_shop"
    else:
        headers[where.replace("-", "_")] = (
            "ak_w_shop" if where == "x-write-key" else "Bearer ak_w_shop"
        )
    assert (await client.send_events(body, **headers)).status_code == 202
    assert client.sink.events[0].project == "shop"


async def test_a_key_for_every_project_writes_to_default(client: Client) -> None:
    assert (await client.send_events(GOOD, x_write_key="ak_w_any")).status_code == 202
    assert client.sink.events[0].project == "default"


@pytest.mark.parametrize(
    ("token", "refusal"),
    [
        ("nobody", (401, "unauthorized")),
        ("", (401, "unauthorized")),
        ("ak_w_old", (401, "unauthorized")),
        ("ak_w_late", (401, "unauthorized")),
        ("ak_r_shop", (403, "missing_scope")),
        ("api-key", (403, "missing_scope")),
    ],
)
async def test_a_key_that_may_not_write_is_refused(
    client: Client, token: str, refusal: tuple[int, str]
) -> None:
    answer = await client.send_events(GOOD, x_write_key=token)
    assert error_of(answer) == refusal
    assert error_of(await client.send_events(GOOD | {"write_key": token})) == refusal
    assert answer.headers["x-analytics"] == refusal[1]
    assert ("www-authenticate" in answer.headers) == (refusal[0] == 401)
    assert client.sink.events == []


async def test_without_key_the_project_is_default_unless_one_is_required() -> None:
    async with running(require_write_key=True) as strict:
        assert error_of(await strict.send_events(GOOD)) == (401, "missing_key")
        assert (await strict.send_events(GOOD, x_write_key="ak_w_shop")).status_code == 202


async def test_a_key_that_cannot_be_checked_now_is_503_not_401(client: Client) -> None:
    client.table.down = True
    answer = await client.send_events(GOOD, x_write_key="ak_w_shop")
    assert error_of(answer) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await client.send_events(GOOD)).status_code == 202


PAGE = b"https://page.example"


def intake(**settings: Any) -> Intake:
    return Intake(MemorySink(), KeyCache(Table()), MemorySalts(), Settings(**settings))


async def test_a_token_of_another_product_that_is_unknown_here_counts_as_no_key() -> None:
    admit = intake().admit
    assert await admit(["phc_unknown", "ak_w_shop"], None, "192.0.2.1", foreign=True) == {
        "phc_unknown": "default",
        "ak_w_shop": "shop",
    }
    for token, foreign in (
        ("phc_unknown", False),  # our own protocol has no other product's tokens
        ("ak_w_unknown", True),
        ("ak_w_old", True),
        ("ak_w_late", True),
    ):
        with pytest.raises(Unauthorized):
            await admit([token], None, "192.0.2.1", foreign=foreign)


async def test_a_token_of_another_product_that_was_revoked_here_is_refused() -> None:
    token = "phc_revoked"
    shelf = Shelf((token, a_key(revoked=True)))
    closed = Intake(MemorySink(), KeyCache(shelf), MemorySalts(), Settings())
    with pytest.raises(Unauthorized, match="revoked"):
        await closed.admit([token], None, "192.0.2.1", foreign=True)


async def test_where_a_key_is_required_another_products_token_is_none() -> None:
    strict = intake(require_write_key=True)
    with pytest.raises(Unauthorized):
        await strict.admit(["phc_unknown"], None, "192.0.2.1", foreign=True)


async def test_a_key_is_used_on_pages_of_its_own_origins_and_on_servers() -> None:
    admit = intake().admit
    assert await admit(["ak_w_page"], PAGE, "192.0.2.1") == {"ak_w_page": "page"}
    assert await admit(["ak_w_page"], None, "192.0.2.1") == {"ak_w_page": "page"}
    with pytest.raises(Forbidden) as refusal:
        await admit(["ak_w_page"], b"https://other.example", "192.0.2.1")
    assert refusal.value.code == "foreign_origin"


async def test_a_page_that_may_not_send_is_refused_before_its_key_is_looked_up() -> None:
    closed = intake(cors_origins=("https://shop.example",))
    with pytest.raises(Forbidden):
        await closed.admit(["phc_unknown"], PAGE, "192.0.2.1")
    assert await closed.admit([None], b"https://shop.example", "192.0.2.1") == {None: "default"}


async def test_a_key_has_one_limit_and_guesses_count_for_the_address() -> None:
    one = intake()
    one.limits = Limits(1, now=lambda: 0.0)
    assert await one.admit(["ak_w_shop"], None, "192.0.2.1") == {"ak_w_shop": "shop"}
    with pytest.raises(RateLimited):
        await one.admit(["ak_w_shop"], None, "192.0.2.2")
    with pytest.raises(Unauthorized):
        await one.admit(["guess"], None, "192.0.2.1")
    with pytest.raises(RateLimited):
        await one.admit([None], None, "192.0.2.1")
    assert await one.admit([None], None, "192.0.2.2") == {None: "default"}


async def test_of_several_keys_a_refused_one_costs_none_of_the_others() -> None:
    tokens = [None, "ak_w_old", "ak_r_shop", "ak_w_page", "ak_w_shop"]
    admitted = await intake().admit(tokens, b"https://other.example", "192.0.2.1", foreign=True)
    assert {
        token: one if isinstance(one, str) else one.code for token, one in admitted.items()
    } == {
        None: "default",
        "ak_w_old": "unauthorized",
        "ak_r_shop": "missing_scope",
        "ak_w_page": "foreign_origin",
        "ak_w_shop": "shop",
    }
    strict = await intake(require_write_key=True).admit(tokens, None, "192.0.2.1", foreign=True)
    assert isinstance(refusal := strict[None], Unauthorized)
    assert refusal.code == "missing_key"


async def test_when_every_key_is_refused_the_request_is() -> None:
    with pytest.raises(Forbidden) as refusal:
        await intake().admit(["ak_r_shop", "ak_w_old"], None, "192.0.2.1", foreign=True)
    assert refusal.value.code == "missing_scope"


async def test_a_request_of_several_keys_counts_once_for_each_sender_or_for_none() -> None:
    one = intake()
    one.limits = Limits(1, now=lambda: 0.0)
    unknown = ["phc_a", "phc_b", None]
    assert (await one.admit(["ak_w_page", *unknown], None, "192.0.2.1", foreign=True))["phc_b"]
    with pytest.raises(RateLimited):  # of a sender that may not send now the events are kept
        await one.admit(["ak_w_shop", "ak_w_page"], None, "192.0.2.2", foreign=True)
    assert await one.admit(["ak_w_shop"], None, "192.0.2.2") == {"ak_w_shop": "shop"}


async def test_while_one_of_several_keys_cannot_be_checked_nothing_is_accepted() -> None:
    one = intake()
    await one.admit(["ak_w_shop"], None, "192.0.2.1")
    one.keys._table.down = True  # type: ignore[attr-defined]
    with pytest.raises(Unavailable):
        await one.admit(["ak_w_shop", "phc_new"], None, "192.0.2.1", foreign=True)


@pytest.mark.parametrize("token", [None, "guess"])
async def test_all_addresses_of_a_household_share_its_limit(token: str | None) -> None:
    one = intake(require_write_key=True)
    one.limits = Limits(1, now=lambda: 0.0)
    for peer in ("2001:db8::1", "2001:db8:0:1::1", "203.0.113.1", "203.0.113.2"):
        with pytest.raises(Unauthorized):
            await one.admit([token], None, peer)
    for peer in ("2001:db8::2", "2001:db8::ffff:1", "2001:db8:0:1:8000::", "203.0.113.1"):
        with pytest.raises(RateLimited):
            await one.admit([token], None, peer)


@pytest.mark.parametrize(
    ("headers", "sender"),
    [
        ({}, "192.0.2.1"),
        ({b"x-write-key": b"ak_w_shop"}, "key 1"),
        ({b"authorization": b"Bearer ak_w_any"}, "key 2"),
        ({b"authorization": b"Basic " + base64.b64encode(b"ak_w_shop:")}, "key 1"),
        ({b"authorization": b"Basic !"}, "192.0.2.1"),
        ({b"x-write-key": b"guess"}, "192.0.2.1"),
        ({b"x-write-key": b"ak_w_old"}, "192.0.2.1"),
    ],
)
async def test_a_request_counts_for_its_key_if_that_is_valid_or_for_its_address(
    headers: dict[bytes, bytes], sender: str
) -> None:
    assert await intake().sender(headers, "192.0.2.1") == sender


async def test_a_request_counts_for_its_household_while_keys_cannot_be_checked() -> None:
    one = intake()
    one.keys._table.down = True  # type: ignore[attr-defined]
    sender = await one.sender({b"x-write-key": b"ak_w_shop"}, "2001:db8::1")
    assert sender == await one.sender({}, "2001:db8::2")
