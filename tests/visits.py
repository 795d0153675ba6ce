"""Visitors as the pipeline meets them: browsers, a robot, a server, and an event of theirs."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from analytics.events import Event
from analytics.pipeline import Context, Rules, context_of

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
ADDRESS = "203.0.113.77"


def event(metadata: dict[str, Any] | bytes = b"{}", session: str = "s", action: str = "a") -> Event:
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    return Event("default", UUID(int=1), session, None, "t", action, text, NOW, NOW)


def browsing(
    rules: Rules | None = None, address: str = ADDRESS, salt: bytes = b"salt", **headers: str
) -> Context:
    named = {"origin": "https://shop.example", "user-agent": CHROME} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    encoded = {name.encode(): value.encode() for name, value in named.items()}
    return context_of(encoded, address, NOW, relayed=False, salt=salt, rules=rules or Rules())


SERVER = context_of(
    {b"user-agent": b"python-requests/2.3"},
    ADDRESS,
    NOW,
    relayed=False,
    salt=b"salt",
    rules=Rules(),
)
