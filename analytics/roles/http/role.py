"""What every role's HTTP side shares: health, metrics, and one table from error to status."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics import __version__, errors, metrics
from analytics.roles.http.real_client import RealClient
from analytics.settings import Settings

log = logging.getLogger(__name__)

Check = Callable[[State], Awaitable[str]]
"""One dependency of a role: `ok`, or `ok: a warning`; raises when the role cannot work without it.
"""

Gauges = Callable[[State], Awaitable[None]]
"""Refreshes the gauges that are read from elsewhere, before they are scraped."""

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]

OPERATOR_PATHS = ("/health", "/health/live", "/metrics")
"""What every role has for its operator, and no page may read."""

CHECK_SECONDS = 2.0
MEDIA_TYPE = "application/json"

STATUS: Mapping[type[errors.AnalyticsError], int] = {
    errors.BadRequest: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.SlowBody: 408,
    errors.TooLarge: 413,
    errors.UnsupportedEncoding: 415,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
    errors.TransientStoreError: 503,
}

REFUSALS = {
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take this method"),
    413: ("too_large", "the body is over its limit"),
}
"""What the router refuses: status → code and message."""

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


def status_of(error: errors.AnalyticsError) -> int:
    """The HTTP status of an error that we raised; 500 for one that no client can cause."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def token_of(headers: Mapping[str, str]) -> str | None:
    """A reader's key in `Authorization: Bearer`, else `X-API-Key`, if there is one."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return (bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")) or None


def needed_token(headers: Mapping[str, str]) -> str:
    """The same where nothing is to be had without one. Raises Unauthorized."""
    token = token_of(headers)
    if token is None:
        raise errors.Unauthorized(
            "a key is needed, as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
        )
    return token


def json_response(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Anything msgspec can encode, as JSON."""
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)


def error_body(error: errors.AnalyticsError) -> dict[str, Any]:
    """`{"code", "message"}`, with `field` where one is at fault."""
    body = {"code": error.code, "message": error.message}
    return {**body, "field": error.field} if error.field else body


def error_headers(error: errors.AnalyticsError) -> dict[str, str]:
    """Retry-After where waiting helps, the scheme where a key is missing."""
    if isinstance(error, errors.Unavailable | errors.RateLimited):
        return {"Retry-After": str(error.retry_after)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, errors.Unauthorized) else {}


def error_response(error: errors.AnalyticsError) -> Response:
    """The one way an error meets HTTP."""
    return json_response({"error": error_body(error)}, status_of(error), error_headers(error))


async def _on_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.AnalyticsError)  # noqa: S101 - registered for nothing else
    return error_response(error)


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    code, message = REFUSALS.get(error.status_code, ("http_error", error.detail))
    return json_response(
        {"error": {"code": code, "message": message}}, error.status_code, error.headers
    )


class Shield:
    """Outermost: adds the security headers, and turns what nobody expected into a JSON 500 and one
    logged traceback.

    A request with both Content-Length and Transfer-Encoding is refused: a proxy before us may have
    seen another end of it than we do.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
            await send(message)

        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
            error = errors.BadRequest(
                "a request has Content-Length or Transfer-Encoding, not both", code="two_lengths"
            )
            return await json_response({"error": error_body(error)}, 400, {"Connection": "close"})(
                scope, receive, guarded
            )
        try:
            await self.app(scope, receive, guarded)
        except ClientDisconnect:
            log.debug("a client left before its request was read")
        except Exception:
            log.exception("unexpected error at %s %s", scope["method"], scope["path"])
            if started:
                raise
            response = json_response(
                {"error": {"code": "internal", "message": "an unexpected error; it is in the log"}},
                500,
            )
            await response(scope, receive, guarded)


class _Health:
    """`/health` (ready to serve), `/health/live` (the process answers) and `/metrics`."""

    def __init__(self, checks: Mapping[str, Check], gauges: Gauges | None) -> None:
        self.checks = checks
        self.gauges = gauges
        self.started = time.monotonic()

    async def ready(self, request: Request) -> Response:
        state = request.app.state
        verdicts = await asyncio.gather(
            *(self._verdict(check, state) for check in self.checks.values())
        )
        healthy = getattr(state, "ready", False) and all(
            verdict.startswith("ok") for verdict in verdicts
        )
        body = {
            "status": "healthy" if healthy else "unhealthy",
            "version": __version__,
            "uptime": int(time.monotonic() - self.started),
            "checks": dict(zip(self.checks, verdicts, strict=True)),
        }
        return json_response(body, 200 if healthy else 503)

    async def live(self, _: Request) -> Response:
        return json_response(
            {
                "status": "alive",
                "version": __version__,
                "uptime": int(time.monotonic() - self.started),
            }
        )

    async def metrics(self, request: Request) -> Response:
        if self.gauges is not None:
            try:
                await asyncio.wait_for(self.gauges(request.app.state), CHECK_SECONDS)
            except Exception as error:  # what we cannot read must not hide what we can
                log.warning(
                    "some gauges could not be refreshed: %s", str(error) or type(error).__name__
                )
        body, headers = metrics.render()
        return Response(body, headers=headers)

    async def _verdict(self, check: Check, state: State) -> str:
        try:
            return await asyncio.wait_for(check(state), CHECK_SECONDS)
        except TimeoutError:
            return f"no answer within {CHECK_SECONDS:g} s"
        except errors.AnalyticsError as error:
            return error.message
        except Exception as error:
            log.warning("a health check failed: %r", error)
            return type(error).__name__


def role_app(
    settings: Settings,
    routes: Sequence[BaseRoute],
    *,
    lifespan: Lifespan,
    checks: Mapping[str, Check],
    gauges: Gauges | None = None,
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """A role as an ASGI app: its own routes plus health and metrics.

    `lifespan` opens what the role needs and puts it on `app.state`, which `checks` and `gauges` are
    given. `app.state.ready` is true from the end of start-up until the server begins to stop.
    """
    health = _Health(checks, gauges)
    proxied = (
        [Middleware(RealClient, trusted=settings.trusted_proxies)]
        if settings.trusted_proxies
        else []
    )

    @asynccontextmanager
    async def whole(app: Starlette) -> AsyncIterator[None]:
        app.state.settings = settings
        async with lifespan(app):
            app.state.ready = True
            try:
                yield
            finally:
                app.state.ready = False

    app = Starlette(
        routes=[
            *routes,
            *(
                Route(path, endpoint)
                for path, endpoint in zip(
                    OPERATOR_PATHS, (health.ready, health.live, health.metrics), strict=True
                )
            ),
        ],
        middleware=[Middleware(Shield), *proxied, *middleware],
        exception_handlers={errors.AnalyticsError: _on_error, HTTPException: _on_http_exception},
        lifespan=whole,
    )
    app.router.redirect_slashes = (
        False  # a redirect is no JSON, and goes wherever the caller's Host header says
    )
    return app
