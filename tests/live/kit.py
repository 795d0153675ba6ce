"""Shared by the tests of live events: events, a watcher, a client of Redis."""

import uuid
from datetime import UTC, datetime

from redis.asyncio import Redis

from analytics.events import Event
from analytics.live import Delivery


def make_events(number: int, project: str = "shop", **changes: object) -> list[Event]:
    now = datetime.now(UTC)
    fields = {
        "project": project,
        "session_id": "s",
        "user_id": None,
        "event_type": "engagement",
        "event_action": "click",
        "metadata": b"{}",
        "timestamp": now,
        "created_at": now,
    }
    return [Event(**(fields | {"id": uuid.uuid4()} | changes)) for _ in range(number)]  # type: ignore[arg-type]


class Ear:
    """A watcher that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.gaps: list[int] = []

    async def stored(self, delivery: Delivery) -> None:
        self.heard.extend(delivery.events)

    def missed(self, number: int, before: int) -> None:
        self.gaps.append(number)


def client(url: str, seconds: float = 60) -> Redis:
    made: Redis = Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
    return made
