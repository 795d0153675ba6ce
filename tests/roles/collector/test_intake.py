"""Write keys at the collector: who may send, and into which project."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.collecting import GOOD, Client, error_of, running


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
