"""One deployed platform for all tests that only use it: roles, nginx, and a short load that leaves
something of everything.
"""

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest

from tests.deploy.deployed import Deployed
from tests.deploy.front import Front
from tests.deploy.listener import Listener
from tests.deploy.programs import find
from tests.faults.platform import API_KEY
from tests.servers import temporary_folder
from tests.waiting import wait_for

KEY = {"X-API-Key": API_KEY}

# these take minutes, and belong to `make check-deploy`; the others read files, and run with all
# tests
collect_ignore = (
    []
    if os.environ.get("CHECK_DEPLOY")
    else [
        "test_backup.py",
        "test_dashboards.py",
        "test_front.py",
        "test_image.py",
        "test_nginx_rules.py",
        "test_upgrade.py",
    ]
)


@pytest.fixture(scope="session")
def deployed() -> Iterator[Deployed]:
    find("nginx")
    with temporary_folder("deploy") as folder, Deployed(folder) as platform:
        for role in (
            "collector",
            "collector",
            "processor",
            "api",
            "api",
            "realtime",
            "realtime",
        ):
            platform.role(role, wait=False)
        for started in platform.roles:
            started.wait_until_healthy()
        (folder / "nginx").mkdir(mode=0o711)
        with Front(
            folder / "nginx",
            {role: platform.ports(role) for role in ("collector", "api", "realtime")},
        ) as platform.front:
            yield platform


def events(n: int, **more: object) -> list[dict[str, object]]:
    """Believable events with ids of their own."""
    now = datetime.now(UTC).isoformat()
    kinds = ("engagement", "navigation", "commerce")
    return [
        {
            "id": str(uuid.uuid4()),
            "session_id": f"s{number % 7}",
            "user_id": f"u{number % 5}",
            "event_type": kinds[number % 3],
            "event_action": "click",
            "metadata": {
                "page": f"/{number % 4}",
                "$path": f"/{number % 4}",
                "$referrer_source": "Google",
                "$country": "DE",
            },
            "timestamp": now,
            **more,
        }
        for number in range(n)
    ]


@contextlib.contextmanager
def watch(front: Front) -> Iterator[Listener]:
    """A WebSocket through nginx that is subscribed to all events."""
    with Listener(
        f"wss://127.0.0.1:{front.port}/realtime",
        front.context,
        {"Authorization": f"Bearer {API_KEY}"},
    ) as listener:
        listener.send({"type": "subscribe", "id": "a", "channel": "events"})
        told = listener.receive()
        assert told["type"] == "subscribed", told
        yield listener


@pytest.fixture(scope="session")
def loaded(deployed: Deployed) -> Deployed:
    """After a short load: events stored and refused, a visitor who logged in, questions answered, a
    live listener told.
    """
    with deployed.front.client(KEY) as client, watch(deployed.front) as listener:
        for _ in range(20):
            send(client, events(10))
        send(
            client,
            [
                *events(1, session_id="visitor", user_id=None),
                *events(1, user_id="u0", metadata={"$anonymous_id": "visitor"}),
            ],
        )
        assert send(client, [*events(1), {"session_id": "s"}])["rejected"]
        for path in ("/api/trends", "/api/events", "/api/live", "/api/trends?nonsense=1"):
            client.get(path)
        assert listener.receive()["type"] == "event"
    wait_for(deployed.drained, "an empty queue")
    return deployed


def send(client: httpx2.Client, batch: list[dict[str, object]]) -> dict[str, object]:
    """POST /collect until it is acknowledged, as an SDK does: what broke off on the way is sent
    again with the same ids.
    """
    end = time.monotonic() + 60
    while True:
        assert time.monotonic() < end, "no acknowledgement in a minute"
        with contextlib.suppress(httpx2.TransportError):
            answer = client.post("/collect", json=batch)
            if answer.status_code == 202:
                body: dict[str, object] = answer.json()
                return body
            assert answer.status_code in (429, 502, 503, 504), answer.text
        time.sleep(0.1)
