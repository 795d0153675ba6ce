"""Bodies of requests, and what the native protocol makes of them at one fixed moment."""

import json
from datetime import UTC, datetime
from typing import Any

from analytics.events import Event
from analytics.protocols import native
from analytics.protocols.protocol import Decoded, Draft, Incoming

NOW = datetime(2026, 11, 23, 14, 0, 0, 123456, tzinfo=UTC)
GOOD = {"session_id": "s1", "event_type": "engagement", "event_action": "click"}
UUID_TEXT = "0193F0AA-6ad7-5f5c-9c0e-5d7a4c1b2e90"


def incoming(
    body: bytes, *, received: datetime = NOW, days: int = 90, query: bytes = b"", **headers: str
) -> Incoming:
    return Incoming(
        query,
        {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()},
        body,
        received,
        days,
    )


def decoded_of(draft: Draft, project: str = "p") -> Decoded:
    """A request's events, whatever keys they have."""
    return draft.decode(dict.fromkeys(draft.keys, project))


def decode(value: Any, *, days: int = 90) -> Decoded:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return native.decode(body, NOW, project="p", retention_days=days)


def event(days: int = 90, **fields: Any) -> Event:
    decoded = decode(GOOD | fields, days=days)
    assert not decoded.rejected, decoded.rejected
    return decoded.events[0]


def fault_of(days: int = 90, **fields: Any) -> tuple[str, str | None]:
    decoded = decode(GOOD | fields, days=days)
    assert not decoded.events
    assert decoded.rejected[0].message
    return decoded.rejected[0].code, decoded.rejected[0].field
