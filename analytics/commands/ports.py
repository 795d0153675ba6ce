"""What listens on the ports of the roles: our roles, healthy or not, something else, or nothing."""

import json
import urllib.error
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from typing import Any, NamedTuple

from analytics import server
from analytics.commands import address
from analytics.commands.finding import BAD, GOOD, ODD, Finding
from analytics.errors import AnalyticsError
from analytics.roles.http.health import ROLE_HEADER
from analytics.settings import ROLES, Settings

HEALTH_SECONDS = 5


class Health(NamedTuple):
    """An answer of /health."""

    role: str | None
    """None: of a release that does not say."""
    body: dict[str, Any]


def examine(settings: Settings, roles: Sequence[str], *, started: bool) -> Iterator[Finding]:
    """A finding for each of `roles`, or for all when none is named.

    `started`: whether they should run by now, so that a free port means that a role is down. Of
    roles that nobody named this is only remarked: they may run on other machines.
    """
    down = BAD if roles else ODD
    for role in roles or ROLES:
        port = settings.port_of(role, roles or ROLES)
        health = _health(settings.host, port)
        if health is not None:
            if health.role in (None, role):
                yield _running(role, port, health.body)
            else:
                text = f"the {health.role} answers on its port {port}"
                yield Finding(down if started else BAD, role, text)
            continue
        try:
            server.bind(role, settings, port).close()
        except AnalyticsError as error:
            yield Finding(down if started else BAD, role, error.message)
        else:
            if started:
                yield Finding(down, role, f"nothing listens on port {port} here")
            else:
                yield Finding(GOOD, role, f"port {port} is free")


def _running(role: str, port: int, health: dict[str, Any]) -> Finding:
    """How a role is that runs here, by its /health."""
    if health["status"] == "healthy":
        return Finding(GOOD, role, f"runs on port {port}")
    failed = [
        f"{name}: {result}"
        for name, result in health.get("checks", {}).items()
        if not str(result).startswith("ok")
    ]
    why = "; ".join(failed) or "it is starting or ending"
    return Finding(BAD, role, f"runs on port {port} and is not healthy: {why}")


def _health(host: str, port: int) -> Health | None:
    """The /health of one of our roles; None when none answers there."""
    url = f"http://{address.local(host, port)}/health"
    try:
        try:
            with address.DIRECT.open(url, timeout=HEALTH_SECONDS) as answer:
                role, health = answer.headers.get(ROLE_HEADER), json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                role, health = error.headers.get(ROLE_HEADER), json.loads(error.read())
    except (OSError, ValueError, HTTPException):
        return None
    ours = isinstance(health, dict) and {"status", "version", "uptime"} <= health.keys()
    return Health(role, health) if ours else None
