"""Real roles behind the shipped nginx: events in, answers out, WebSockets through, and a collector
killed on the way.
"""

import contextlib
import json
import threading
from functools import partial

import pytest

from tests.deploy.conftest import KEY, events, send, watch
from tests.deploy.deployed import READER, Deployed
from tests.deploy.programs import run
from tests.faults.platform import http_get
from tests.waiting import wait_for

QUESTION = "/api/trends?last=1h&interval=minute"


def test_an_event_goes_in_and_its_answer_comes_out(deployed: Deployed) -> None:
    batch = events(3, event_type="front-door")
    with deployed.front.client(KEY) as client:
        assert send(client, batch)["accepted"] == 3
        wait_for(deployed.drained, "an empty queue")
        data = client.get(f"/api/events/{batch[0]['id']}").json()["data"]
        assert data["status"] == "stored"
        answer = client.get("/api/trends?last=1h&interval=minute&event=front-door").json()
        assert answer["data"]["series"][0]["total"] == 3


def test_a_body_of_one_megabyte_is_taken_and_a_byte_more_is_not(deployed: Deployed) -> None:
    whole = json.dumps(events(1, event_type="large")[0]).encode().ljust(1_048_576)
    with deployed.front.client() as client:
        for body, status in ((whole, 202), (whole + b" ", 413)):
            answer = client.post(
                "/collect", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == status, answer.text
        assert answer.json()["error"]["code"]


@pytest.mark.parametrize("path", ["/collect", "/v1/batch"])
def test_a_page_may_send_json_with_credentials_through_the_front_door(
    deployed: Deployed, path: str
) -> None:
    page = {"origin": "https://shop.example", "user-agent": "Mozilla/5.0 (X11) Firefox/140.0"}
    asks = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-odd",
    }
    with deployed.front.client() as client:
        preflight = client.options(path, headers=page | asks)
        body = events(1) if path == "/collect" else {"type": "track", "event": "e", "userId": "u"}
        taken = client.post(path, json=body, headers=page)
    assert (preflight.status_code, taken.status_code // 100) == (204, 2)
    assert preflight.headers["access-control-allow-headers"] == "content-type,x-odd"
    for answer in (preflight, taken):
        assert answer.headers.get_list("access-control-allow-origin") == ["https://shop.example"]
        assert answer.headers.get_list("access-control-allow-credentials") == ["true"]


def test_a_websocket_goes_through_and_sees_the_event(deployed: Deployed) -> None:
    with watch(deployed.front) as listener, deployed.front.client() as client:
        [event] = events(1, event_type="live")
        send(client, [event])
        while listener.receive()["event"]["id"] != event["id"]:
            pass  # events of before, that were on their way


def test_a_client_stays_with_one_realtime(deployed: Deployed) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(watch(deployed.front))
        open_ = [
            _gauge(http_get(f"{role.url}/metrics")[1].decode(), "analytics_realtime_connections")
            for role in deployed.all_of("realtime")
        ]
    assert sorted(open_) == [0, 4], "one address, two replicas"


def test_answers_are_cached_for_the_key_that_asked_and_for_no_other(deployed: Deployed) -> None:
    with deployed.front.client() as client:
        first = client.get(QUESTION, headers=KEY)
        assert (first.status_code, first.headers["x-cache-status"]) == (200, "MISS")
        again = client.get(QUESTION, headers=KEY)
        assert (again.content, again.headers["x-cache-status"]) == (first.content, "HIT")
        for other in (
            {},
            {"X-API-Key": "ak_r_somebody-else"},
            {"Authorization": "Bearer nonsense"},
        ):
            refused = client.get(QUESTION, headers=other)
            assert refused.status_code == 401
            assert refused.headers["x-cache-status"] in ("MISS", "BYPASS")
            assert refused.json()["error"]["code"]


def test_a_collector_is_killed_under_load_and_no_acknowledged_event_is_lost(
    deployed: Deployed,
) -> None:
    acknowledged: list[str] = []
    broken: list[BaseException] = []
    stop = threading.Event()

    def load() -> None:
        with deployed.front.client() as client:
            while not stop.is_set():
                batch = events(5, event_type="killed")
                try:
                    send(client, batch)
                except BaseException as error:
                    broken.append(error)
                    return
                acknowledged.extend(str(event["id"]) for event in batch)

    def reached(events_: int) -> bool:
        return len(acknowledged) >= events_

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    victim = deployed.all_of("collector")[0]
    for target in (100, 200):
        wait_for(partial(reached, target), "acknowledged events")
        victim.kill()
        so_far = len(acknowledged)
        wait_for(partial(reached, so_far + 50), "events through the other collector")
        victim.start()
    stop.set()
    for thread in threads:
        thread.join(40)
        assert not thread.is_alive()
    assert not broken, broken
    wait_for(deployed.drained, "an empty queue")
    stored = deployed.sql("select id from raw_events where event_type = 'killed'").split()
    assert len(stored) == len(set(stored))
    assert not set(acknowledged) - set(stored)
    books = deployed.books()
    assert books["accepted"] == books["stored"] + books["duplicate"] + books["dead_lettered"]


def test_an_upgrade_to_h2c_leads_nowhere(deployed: Deployed) -> None:
    for path in ("/collect", "/api/live", "/realtime", "/realtime/events"):
        headers = {
            "Upgrade": "h2c",
            "Connection": "Upgrade, HTTP2-Settings",
            "HTTP2-Settings": "AAMAAABk",
            **KEY,
        }
        with (
            deployed.front.client() as client,
            client.stream("GET", path, headers=headers) as answer,
        ):
            assert answer.status_code != 101


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/live"])
def test_what_is_for_operators_is_not_for_the_world(deployed: Deployed, path: str) -> None:
    with deployed.front.client(KEY) as client:
        assert client.get(path).status_code in (403, 404)


def test_the_api_cannot_write(deployed: Deployed) -> None:
    psql = deployed.postgres.program("psql")
    reader = deployed.url_of("analytics_reader", READER)
    assert (
        run(psql, "-XqAt", "-d", reader, "-c", "select count(*) >= 0 from raw_events").strip()
        == "t"
    )
    for statement in (
        "insert into projects values ('x', now())",
        "set transaction_read_only = off; delete from raw_events",
        "create table t ()",
    ):
        with pytest.raises(AssertionError, match=r"read-only|permission denied"):
            run(psql, "-XqAt", "-d", reader, "-c", statement)


def _gauge(text: str, name: str) -> float:
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith((f"{name} ", f"{name}{{"))
    )
