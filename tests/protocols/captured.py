"""Requests captured from real libraries, and a collector that gets them again."""

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from analytics.events import Event
from analytics.projects import ApiKey
from tests.collecting import Client, running

LINES = (Path(__file__).parent / "captured.ndjson").read_text().splitlines()
CAPTURED: dict[str, dict[str, Any]] = {
    request["name"]: request for request in map(json.loads, LINES)
}
UNIVERSAL = {"success": True, "status": 1, "code": 200, "error": None}


@asynccontextmanager
async def collector(*tokens: str, **settings: Any) -> AsyncIterator[Client]:
    """A collector without an age limit, because captured requests grow old.

    Each token is a key of the project `shop`.
    """
    async with running(**{"retention_days": 0, **settings}) as client:
        client.table.keys = client.table.keys | {
            token: ApiKey(id=100 + n, prefix="", project="shop", scopes=frozenset({"ingest"}))
            for n, token in enumerate(tokens)
        }
        yield client


async def replay(client: Client, name: str, **headers: str) -> httpx2.Response:
    """Send a captured request again, compressed as it was, with more headers if a test needs them.

    The encoding `gzip` marks a body whose headers did not name its compression.
    """
    request = CAPTURED[name]
    body = request["body"].encode()
    if request["headers"].get("content-encoding") == "gzip" or request.get("gzip"):
        body = gzip.compress(body)
    sent = request["headers"] | {
        header.replace("_", "-"): value for header, value in headers.items()
    }
    return await client.request(request["method"], request["path"], content=body, headers=sent)


def columns_of(event: Event) -> tuple[str, str, str | None, str]:
    """An event's type, action, user and session."""
    return event.event_type, event.event_action, event.user_id, event.session_id


def metadata(event: Event) -> Any:
    return json.loads(event.metadata)
