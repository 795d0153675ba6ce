"""The operator's paths of every role: `/health`, `/health/live` and `/metrics`."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics import __version__, metrics
from analytics.errors import AnalyticsError
from analytics.roles.http.responses import json_response

log = logging.getLogger(__name__)

Check = Callable[[State], Awaitable[str]]
"""Checks one dependency of a role: `ok` or `ok: a warning`; raises if the role needs it and it
fails.
"""

OPERATOR_PATHS = ("/health", "/health/live", "/metrics")
"""For the operator of any role. CORS lets no web page read them."""

ROLE_HEADER = "X-Analytics-Role"
"""Of health's answers: which role gives them. Release 1.0.0 does not send it."""

CHECK_SECONDS = 2.0
"""How long one check, or the refresh of the gauges, may take."""


class Gauged(Protocol):
    """What every lifespan puts on `app.state.queue`."""

    async def refresh_gauges(self) -> None:
        """Update the gauges whose values are in Redis."""


class Health:
    """The responses for the operator: readiness, liveness and metrics."""

    def __init__(self, role: str, checks: Mapping[str, Check]) -> None:
        self.checks = checks
        self._role = role
        self._headers = {ROLE_HEADER: role}
        self._started = time.monotonic()

    @property
    def routes(self) -> list[Route]:
        """A route for each of OPERATOR_PATHS."""
        endpoints = (self.ready, self.live, self.metrics)
        return [Route(*pair) for pair in zip(OPERATOR_PATHS, endpoints, strict=True)]

    async def ready(self, request: Request) -> Response:
        """`/health`: 200 when every check is ok and the role takes requests, else 503."""
        state = request.app.state
        results = await asyncio.gather(*(_result(check, state) for check in self.checks.values()))
        all_ok = all(result.startswith("ok") for result in results)
        healthy = getattr(state, "ready", False) and all_ok
        status = "healthy" if healthy else "unhealthy"
        checks = dict(zip(self.checks, results, strict=True))
        body = {**self._about(status), "checks": checks}
        return json_response(body, 200 if healthy else 503, self._headers)

    async def live(self, _: Request) -> Response:
        """`/health/live`: 200 as long as the process responds."""
        return json_response(self._about("alive"), headers=self._headers)

    async def metrics(self, request: Request) -> Response:
        """`/metrics`: the role's, with the queue's gauges as fresh as Redis can tell them."""
        try:
            queue: Gauged = request.app.state.queue
            async with asyncio.timeout(CHECK_SECONDS):
                await queue.refresh_gauges()
        except Exception as error:  # gauges that cannot be read must not hide those that can
            cause = str(error) or type(error).__name__
            log.warning("some gauges could not be refreshed: %s", cause)
        body, headers = metrics.render(self._role)
        return Response(body, headers=headers)

    def _about(self, status: str) -> dict[str, Any]:
        uptime_s = int(time.monotonic() - self._started)
        return {"status": status, "version": __version__, "uptime": uptime_s}


async def check_queue(state: State) -> str:
    """The check of a role that needs the queue: Redis answers, and keeps what it is given."""
    result: str = await state.queue.check()
    return result


async def check_keys(state: State) -> str:
    """Whether keys can be looked up; a part of another check."""
    result: str = await state.keys.check()
    return result


def together(*results: str) -> str:
    """Several results that are ok, as one: `ok`, and whatever they warn of."""
    return ": ".join(
        ["ok", *(part for each in results if (part := each.removeprefix("ok").removeprefix(": ")))]
    )


async def _result(check: Check, state: State) -> str:
    """`ok…`, or what is wrong; never raises."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check(state)
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except AnalyticsError as error:
        return error.message
    except Exception as error:
        log.warning("a health check failed: %r", error)
        return type(error).__name__
