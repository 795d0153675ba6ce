"""SIGTERM under load ends each role in time and loses nothing: fault 40; kill -9 of those who only
read: fault 4.
"""

import signal
import threading
import time

import msgspec
import pytest

from tests.faults.load import Load, audit, recovered
from tests.faults.platform import API_KEY, Platform, http_get
from tests.waiting import wait_for

GRACE_SECONDS = 30.0


@pytest.mark.parametrize("name", ["collector", "processor"])
def test_sigterm_under_load_exits_0_in_time_and_loses_nothing(
    platform: Platform, name: str
) -> None:
    roles = {"collector": platform.role("collector"), "processor": platform.role("processor")}
    with Load(roles["collector"]) as load:
        load.wait_for_more(300)
        began = time.monotonic()
        assert roles[name].end(signal.SIGTERM) == 0, roles[name].tail()
        assert time.monotonic() - began < GRACE_SECONDS
        roles[name].start()
        recovered(platform, load)
        load.wait_for_more(100)
    wait_for(platform.drained, "the queue to drain")
    audit(platform, load)


async def test_realtime_ends_with_its_websockets_open(platform: Platform) -> None:
    import asyncio

    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    realtime = platform.role("realtime")
    async with connect(
        f"ws://127.0.0.1:{realtime.port}/realtime",
        additional_headers={"Authorization": f"Bearer {API_KEY}"},
    ) as socket:
        await socket.send('{"type": "subscribe", "id": "a", "channel": "events"}')
        assert '"subscribed"' in str(await socket.recv())
        ended = asyncio.create_task(asyncio.to_thread(realtime.end, signal.SIGTERM))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert await ended == 0


def test_killing_those_who_only_read_has_no_effect_on_data(platform: Platform) -> None:
    collector, _ = platform.role("collector"), platform.role("processor")
    readers = [platform.role("api"), platform.role("realtime")]
    with Load(collector) as load:
        for reader in readers:
            load.wait_for_more(200)
            reader.kill()
            reader.start()
            recovered(platform, load)
        load.wait_for_more(200)
    wait_for(platform.drained, "the queue to drain")
    audit(platform, load)
    total = platform.get(readers[0], "/api/trends?last=2d")["data"]["series"][0]["total"]
    assert total == int(platform.sql("select count(*) from raw_events"))


def test_sigterm_with_questions_open_ends_the_api_in_time_and_every_answer_is_whole(
    platform: Platform,
) -> None:
    collector, _, api = platform.role("collector"), platform.role("processor"), platform.role("api")
    with Load(collector) as load:
        load.wait_for_more(300)
        wait_for(lambda: platform.books()["stored"] >= 300, "events to ask about")
        answers: list[tuple[int, bytes]] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                answers.append(http_get(f"{api.url}/api/trends?last=2d"))

        askers = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for asker in askers:
            asker.start()
        wait_for(lambda: len(answers) > 20, "answers")
        began = time.monotonic()
        status = api.end(signal.SIGTERM)
        took = time.monotonic() - began
        stop.set()
        for asker in askers:
            asker.join(30)
        assert status == 0, api.tail()
        assert took < GRACE_SECONDS
        assert {status for status, _ in answers} <= {0, 200, 503}
        assert all(msgspec.json.decode(text) for status, text in answers if status)
        load.wait_for_more(100)
    wait_for(platform.drained, "the queue to drain")
    audit(platform, load)
