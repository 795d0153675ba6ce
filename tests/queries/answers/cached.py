"""Questions about old events, asked of an api again and again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
from starlette.applications import Starlette

from analytics.events import Event, Job
from analytics.stores import PostgresStore

KEY = "ak_r_static"


def trends_of(*days: int) -> str:
    """A question about the time between so many days ago."""
    return "/api/trends?from={:%Y-%m-%d}&to={:%Y-%m-%d}".format(
        *(datetime.now(UTC) - timedelta(days=ago) for ago in days)
    )


OLD = trends_of(12, 4)


def client(app: Starlette) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://api", headers={"X-API-Key": KEY}
    )


async def put(
    store: PostgresStore, project: str = "default", days: int = 6, action: str = "a"
) -> None:
    """An event of so many days ago, stored as the processor does it."""
    now = datetime.now(UTC)
    event = Event(project, uuid4(), "s", "u", "e", action, b"{}", now - timedelta(days=days), now)
    await store.write([Job(f"{uuid4().hex}.1", [event])])


def total(answer: httpx2.Response) -> Any:
    return answer.json()["data"]["series"][0]["total"]


def cached(answer: httpx2.Response) -> Any:
    return answer.json()["meta"]["cached"]
