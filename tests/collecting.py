"""A collector with a sink, keys and salts that the test controls."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
from starlette.applications import Starlette

from analytics import metrics
from analytics.errors import Unavailable
from analytics.events import Event
from analytics.projects import ApiKey, KeyCache, digest
from analytics.roles.collector import collector
from analytics.roles.collector.intake import Intake
from analytics.settings import Settings

GOOD = {"session_id": "s1", "event_type": "engagement", "event_action": "click"}
BAD = GOOD | {"session_id": "x" * 65}


class MemorySink:
    """A sink that keeps what it gets, or refuses it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refusal: Exception | None = None

    async def append(self, events: Sequence[Event]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.events += events

    async def check(self) -> str:
        return "ok"

    async def refresh_gauges(self) -> None:
        metrics.queue_depth.set({}, len(self.events))


class MemorySalts:
    """A salt that never changes, or an error."""

    refusal: Exception | None = None

    async def of(self, moment: datetime) -> bytes:
        if self.refusal is not None:
            raise self.refusal
        return b"salt"


class Table:
    """Keys in a dict."""

    down = False
    keys = {  # noqa: RUF012 - never changed
        "ak_w_shop": ApiKey(id=1, prefix="", project="shop", scopes=frozenset({"ingest"})),
        "ak_w_any": ApiKey(id=2, prefix="", project=None, scopes=frozenset({"ingest"})),
        "ak_w_page": ApiKey(
            id=3,
            prefix="",
            project="page",
            scopes=frozenset({"ingest"}),
            origins=("https://page.example",),
        ),
        "ak_w_old": ApiKey(
            id=4, prefix="", project="shop", scopes=frozenset({"ingest"}), revoked=True
        ),
        "ak_w_late": ApiKey(
            id=5,
            prefix="",
            project="shop",
            scopes=frozenset({"ingest"}),
            expires_at=datetime(2020, 1, 1, tzinfo=UTC),
        ),
        "ak_r_shop": ApiKey(id=6, prefix="", project="shop", scopes=frozenset({"query"})),
    }

    async def find(self, digested: bytes) -> ApiKey | None:
        if self.down:
            raise Unavailable("keys cannot be checked")
        return next((key for token, key in self.keys.items() if digest(token) == digested), None)


class Client(httpx2.AsyncClient):
    """A client of one collector, with the sink behind it."""

    sink: MemorySink
    table: Table
    salts: MemorySalts
    intake: Intake
    app: Starlette

    async def send_events(
        self, body: Any, path: str = "/collect", **headers: str
    ) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.post(
            path,
            content=content,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )


@asynccontextmanager
async def running(address: str = "192.0.2.1", **settings: Any) -> AsyncIterator[Client]:
    sink, table, salts = MemorySink(), Table(), MemorySalts()

    @asynccontextmanager
    async def intake(config: Settings) -> AsyncIterator[Intake]:
        yield Intake(sink, KeyCache(table, ("api-key",)), salts, config)

    app = collector.role(intake).app(Settings(**settings))
    async with (
        app.router.lifespan_context(app),
        Client(
            transport=httpx2.ASGITransport(app, client=(address, 1)), base_url="http://collector"
        ) as client,
    ):
        client.sink, client.table, client.salts = sink, table, salts
        client.app, client.intake = app, app.state.intake
        yield client


def error_of(answer: httpx2.Response) -> tuple[int, str]:
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert body["error"]["message"]
    return answer.status_code, body["error"]["code"]
