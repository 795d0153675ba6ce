"""Operators' paths under foreign names: a page whose name leads to this machine reads nothing."""

import socket

import pytest

from analytics.roles.http.health import OPERATOR_PATHS
from tests.collecting import error_of, running

FOREIGN = (
    "evil.example",
    "evil.example:4001",
    "EVIL.example.",
    "127.0.0.1.evil.example",
    "localhost.evil.example:80",
    "[::1].evil.example",
    "user@evil.example",
    "[bad",
    "a@b",
    "box.corp.example",
)
OURS = (
    "localhost",
    "LOCALHOST:4001",
    "app.localhost:4001",
    "127.0.0.1:4001",
    "192.168.1.7",
    "[::1]:4001",
    "[fe80::1]",
    "collector:4001",
    "collector.local",
    "host.docker.internal:4001",
    socket.gethostname(),
    "",
)


@pytest.mark.parametrize("path", OPERATOR_PATHS)
async def test_a_page_of_a_foreign_name_reads_nothing_of_an_operators(path: str) -> None:
    async with running(host="127.0.0.1") as client:
        for name in FOREIGN:
            answer = await client.get(path, headers={"Host": name})
            assert error_of(answer) == (403, "foreign_host"), name
        for name in OURS:
            assert (await client.get(path, headers={"Host": name})).status_code == 200, name


async def test_the_name_in_host_is_known() -> None:
    async with running(host="box.corp.example") as client:
        answer = await client.get("/metrics", headers={"Host": "Box.corp.example:4001"})
        assert answer.status_code == 200


async def test_the_name_in_host_is_known_as_browsers_send_it() -> None:
    async with running(host="Büro.example") as client:
        answer = await client.get("/metrics", headers={"Host": "xn--bro-hoa.example:4001"})
        assert answer.status_code == 200


async def test_the_name_of_the_machine_is_known_in_any_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.node", lambda: "Box.Corp.Example")
    async with running(host="127.0.0.1") as client:
        answer = await client.get("/metrics", headers={"Host": "box.corp.example:4001"})
        assert answer.status_code == 200


async def test_in_production_names_are_the_proxys_concern() -> None:
    async with running(environment="production") as client:
        answer = await client.get("/metrics", headers={"Host": "analytics.example.com"})
        assert answer.status_code == 200


async def test_other_paths_answer_under_every_name() -> None:
    """A tunnel to somebody's own machine brings its name; what is to be read there needs a key."""
    async with running(host="127.0.0.1") as client:
        answer = await client.get("/tracker.js", headers={"Host": "tunnel.example"})
        assert answer.status_code == 200
