"""The api: each question of `queries/` at its address below /api, for keys that may query."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sqlalchemy import literal, select
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics import metrics, settings
from analytics.errors import Unavailable
from analytics.projects import DatabaseKeys, Key, Keys, authorize
from analytics.queries import QUESTIONS, Question, Reply, Sources, Stream, reply
from analytics.queries.answers.cache import CALL_SECONDS, Answers
from analytics.queries.answers.flights import Flights
from analytics.queries.answers.openapi import document
from analytics.queries.database.lanes import Lanes
from analytics.queries.database.replica import Replica
from analytics.queries.database.snapshot import open_engine, open_snapshot
from analytics.queue.reader import Reader
from analytics.redis import connect
from analytics.roles.http.role import MEDIA_TYPE, json_response, needed_token, role_app
from analytics.settings import Settings

PREFIX = "/api"
REDIS_SECONDS = 1.0
VARY = "Authorization, X-API-Key, Origin"


def _response(found: Reply | Stream, headers: Mapping[str, str]) -> Response:
    if isinstance(found, Reply):
        etag = f'"{found.etag}"'
        about = {
            "ETag": etag,
            "Vary": VARY,
            "Cache-Control": "private, no-cache"
            if found.max_age is None
            else f"private, max-age={found.max_age}",
        }
        if found.max_age is not None:
            about["X-Accel-Expires"] = str(found.max_age)
        known = {
            tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")
        }
        return (
            Response(status_code=304, headers=about)
            if known & {etag, "*"}
            else Response(found.body, headers=about, media_type=MEDIA_TYPE)
        )
    about = {"Content-Disposition": f'attachment; filename="{found.filename}"'}
    if found.watermark is not None:
        about["X-Watermark"] = found.watermark.isoformat()
    return StreamingResponse(found.chunks, headers=about, media_type=found.media_type)


def _route(question: Question) -> Route:
    async def endpoint(request: Request) -> Response:
        state = request.app.state
        key: Key = await state.keys.find(needed_token(request.headers))
        authorize(key, "query", origin=request.headers.get("origin"))
        fresh = "no-cache" in request.headers.get("cache-control", "").lower()
        found = await reply(
            question,
            request.scope["query_string"],
            request.path_params,
            key,
            state.sources,
            fresh=fresh,
        )
        return _response(found, request.headers)

    route = Route(PREFIX + question.path, endpoint, name=question.path.replace(":path", ""))
    route.path_regex = re.compile(
        route.path_regex.pattern, re.DOTALL
    )  # an id may hold a line break
    return route


async def _openapi(_: Request) -> Response:
    return json_response(document(QUESTIONS))


ROUTES = tuple(map(_route, QUESTIONS))
_NAMES: Mapping[object, str] = {route.endpoint: route.name for route in ROUTES}


class Measured:
    """Counts and times each query by endpoint: the path below /api as it was declared, so that its
    values are bounded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{PREFIX}/"):
            return await self.app(scope, receive, send)
        started = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            endpoint = _NAMES.get(scope.get("endpoint", None), "other")
            metrics.api_requests.inc({"endpoint": endpoint, "status": str(status)})
            metrics.api_latency.observe({"endpoint": endpoint}, time.perf_counter() - started)


async def _database(state: State) -> str:
    async with open_snapshot(state.sources.engine, state.sources.queue) as snapshot:
        await snapshot.rows(select(literal(1)))
    return "ok"


async def _redis(state: State) -> str:
    try:
        await asyncio.wait_for(state.sources.queue.depth(), REDIS_SECONDS)
    except (Unavailable, TimeoutError):
        return "ok: Redis does not answer, so answers say no watermark"
    return "ok"


async def _gauges(state: State) -> None:
    await state.sources.queue.refresh_gauges()


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    config: Settings = app.state.settings
    redis, cache = connect(config), connect(config, timeout=CALL_SECONDS)
    queue, flights = Reader(redis), Flights()
    lanes = Lanes(config, config.database_replica_url)
    primary = open_engine(config) if config.database_replica_url else None
    replica = Replica(primary, lanes.light, queue) if primary else None
    app.state.sources = Sources(lanes.light, queue, replica, lanes, Answers(cache), flights)
    app.state.keys = Keys(DatabaseKeys(primary or lanes.light), config.api_keys)
    try:
        yield
    finally:
        await flights.close()
        await lanes.dispose()
        if primary:
            await primary.dispose()
        await redis.aclose()
        await cache.aclose()


def app(config: Settings) -> Starlette:
    """The api as an ASGI app."""
    checks = {"database": _database, "redis": _redis}
    routes = [*ROUTES, Route(f"{PREFIX}/openapi.json", _openapi)]
    return role_app(
        config,
        routes,
        lifespan=_lifespan,
        checks=checks,
        gauges=_gauges,
        middleware=[Middleware(Measured)],
    )


def create() -> Starlette:
    """An app from the environment, for an ASGI server of the operator's choice."""
    return app(settings.load())
