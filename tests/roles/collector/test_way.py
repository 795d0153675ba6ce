"""An event's whole way: sent once, it is on a socket, in an answer, a rollup and the books."""

import asyncio
import uuid
from collections.abc import Iterator

import msgspec
import pytest
from websockets.asyncio.client import connect

from tests.faults.load import check_books, event, post
from tests.faults.platform import API_KEY, Platform, Role, http_get
from tests.servers import temporary_folder
from tests.waiting import wait_for

SOON_SECONDS = 20.0


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with temporary_folder("way") as folder, Platform(folder) as running:
        yield running


@pytest.fixture(scope="module")
def roles(platform: Platform) -> dict[str, Role]:
    return {name: platform.role(name) for name in ("collector", "processor", "api", "realtime")}


async def test_an_event_is_on_a_socket_and_in_an_answer_soon_after_its_202(
    platform: Platform, roles: dict[str, Role]
) -> None:
    sent = event(1, event_type="way", event_action="walked")
    async with connect(
        f"ws://127.0.0.1:{roles['realtime'].port}/realtime",
        additional_headers={"Authorization": f"Bearer {API_KEY}"},
    ) as socket:
        await socket.send(
            '{"type": "subscribe", "id": "a", "channel": "events", "event": "way:walked"}'
        )
        await socket.recv()
        status, _ = await asyncio.to_thread(
            post, roles["collector"].port, msgspec.json.encode(sent)
        )
        assert status == 202
        async with asyncio.timeout(SOON_SECONDS):
            shown = msgspec.json.decode(await socket.recv())
    assert shown["type"] == "event"
    assert shown["event"]["id"] == sent["id"]
    assert shown["event"]["metadata"] == sent["metadata"]
    answer = platform.get(roles["api"], "/api/trends?event=way:walked&last=2d")
    assert answer["data"]["series"][0]["total"] == 1, "what is shown live is committed already"
    assert platform.get(roles["api"], f"/api/events/{sent['id']}")["data"]["status"] == "stored"


def test_the_watermark_never_runs_ahead_of_what_is_stored(
    platform: Platform, roles: dict[str, Role]
) -> None:
    processor = roles["processor"]
    processor.kill()
    before = platform.get(roles["api"], "/api/trends")["meta"]
    sent = event(2)
    assert post(roles["collector"].port, msgspec.json.encode(sent))[0] == 202
    held = platform.get(roles["api"], "/api/trends")["meta"]
    later = platform.get(roles["api"], "/api/trends")["meta"]
    assert not before["partial"]
    assert held["partial"]
    assert held["watermark"] == later["watermark"], (
        "it stands still while an acknowledged event waits"
    )
    assert platform.get(roles["api"], f"/api/events/{sent['id']}")["data"]["status"] == "queued"
    processor.start()
    wait_for(
        lambda: not platform.get(roles["api"], "/api/trends")["meta"]["partial"],
        "the watermark to move on",
    )
    assert platform.get(roles["api"], f"/api/events/{sent['id']}")["data"]["status"] == "stored"


def test_the_same_id_in_two_projects_is_two_events_and_neither_sees_the_other(
    platform: Platform, roles: dict[str, Role]
) -> None:
    keys = {}
    for project in ("north", "south"):
        platform.run("projects", "create", project)
        for scope in ("ingest", "query"):
            made = platform.run("keys", "create", "--project", project, "--scope", scope, "--json")
            keys[project, scope] = msgspec.json.decode(made)["key"]
    shared = str(uuid.uuid4())
    for project in ("north", "south"):
        body = {
            "events": [event(3, id=shared, event_action=project)],
            "write_key": keys[project, "ingest"],
        }
        assert post(roles["collector"].port, msgspec.json.encode(body))[0] == 202
    wait_for(platform.drained, "the queue to drain")
    assert platform.sql(f"select count(*) from raw_events where id = '{shared}'") == "2"
    for project, other in (("north", "south"), ("south", "north")):
        key = keys[project, "query"]
        rows = msgspec.json.decode(http_get(f"{roles['api'].url}/api/events", key)[1])["data"][
            "rows"
        ]
        assert [row["event_action"] for row in rows] == [project]
        assert http_get(f"{roles['api'].url}/api/events?project={other}", key)[0] == 403


def test_the_books_are_metrics_of_every_role(platform: Platform, roles: dict[str, Role]) -> None:
    wait_for(platform.drained, "the queue to drain")
    check_books(platform)
    books = platform.books()
    for role in roles.values():
        metrics = http_get(f"{role.url}/metrics")[1].decode()
        for account, events in books.items():
            assert f'analytics_books_events{{account="{account}"}} {events}\n' in metrics
