"""The api: each question at its path below /api, for keys with the scope `query`."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial

from sqlalchemy import func, literal_column, select, text
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics import metrics
from analytics.errors import Unavailable
from analytics.projects import ApiKey, DatabaseKeys, KeyCache, KnownProjects, authorize
from analytics.queries import QUESTIONS, EncodedAnswer, Question, Sources, StreamedFile, answer
from analytics.queries.answers.cache import AnswerCache
from analytics.queries.answers.slots import CALL_SECONDS
from analytics.queries.database.epoch import KnownEpoch
from analytics.queries.database.lanes import Lanes
from analytics.queries.database.replica import Replica
from analytics.queries.database.snapshot import open_engine, open_snapshot
from analytics.queue.reader import Reader
from analytics.redis import connect
from analytics.roles import reference
from analytics.roles.http.cors import Cors, Origins
from analytics.roles.http.credentials import needed_token
from analytics.roles.http.health import check_keys
from analytics.roles.http.paced import PacedResponse
from analytics.roles.http.responses import MEDIA_TYPE
from analytics.roles.http.role import Role
from analytics.settings import Settings
from analytics.stores import schema

PREFIX = "/api"
REDIS_SECONDS = 1.0
VARY = "Authorization, X-API-Key, Origin"
EXPOSED = b"content-disposition, etag, retry-after, x-hint, x-watermark, x-unsure-since"


def _route(question: Question) -> Route:
    async def endpoint(request: Request) -> Response:
        state, headers = request.app.state, request.headers
        token = needed_token(headers)
        key: ApiKey = await state.keys.find(token)
        authorize(key, "query", origin=headers.get("origin"))
        fresh = "no-cache" in headers.get("cache-control", "").lower()
        query, path = request.scope["query_string"], request.path_params
        reply = await answer(question, query, path, key, state.sources, fresh=fresh)
        await state.keys.find(token)  # it may have been revoked meanwhile, and proxies keep replies
        if isinstance(reply, StreamedFile):
            return _file(reply, partial(state.keys.find, token))
        return _response(reply, headers)

    route = Route(PREFIX + question.path, endpoint, name=question.path.replace(":path", ""))
    # DOTALL because an id may hold a line break
    route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
    return route


def _response(reply: EncodedAnswer, headers: Mapping[str, str]) -> Response:
    """The answer, or 304 if the client has it."""
    etag, max_age = f'"{reply.etag}"', reply.max_age
    about = {
        "ETag": etag,
        "Vary": VARY,
        "Cache-Control": "private, no-cache" if max_age is None else f"private, max-age={max_age}",
    }
    if max_age is not None:
        about["X-Accel-Expires"] = str(max_age)
    tags = headers.get("if-none-match", "").split(",")
    if {tag.strip().removeprefix("W/") for tag in tags} & {etag, "*"}:
        return Response(status_code=304, headers=about)
    return Response(reply.body, headers=about, media_type=MEDIA_TYPE)


def _file(stream: StreamedFile, check: Callable[[], Awaitable[ApiKey]]) -> Response:
    """The file, cut off where `check` raises: it looks at the key before each chunk."""
    about = {"Content-Disposition": f'attachment; filename="{stream.filename}"'}
    if stream.watermark is not None:
        about["X-Watermark"] = stream.watermark.isoformat()
    if stream.unsure_since is not None:
        about["X-Unsure-Since"] = stream.unsure_since.isoformat()
    if stream.hint is not None:
        about["X-Hint"] = stream.hint
    return PacedResponse(_checked(stream.chunks, check), about, stream.media_type)


async def _checked(
    chunks: AsyncGenerator[bytes, None], check: Callable[[], Awaitable[ApiKey]]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            await check()
            yield chunk


ROUTES = tuple(map(_route, QUESTIONS))
_NAMES: Mapping[object, str] = {route.endpoint: route.name for route in ROUTES}


class Measured:
    """Middleware that counts and times queries by endpoint.

    The label is the path as it was declared, so the values are few.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{PREFIX}/"):
            return await self.app(scope, receive, send)
        started = time.perf_counter()
        status = 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            endpoint = _NAMES.get(scope.get("endpoint", None), "other")
            metrics.api_requests.inc({"endpoint": endpoint, "status": str(status)})
            metrics.api_latency.observe({"endpoint": endpoint}, time.perf_counter() - started)


async def _database(state: State) -> str:
    async with open_snapshot(state.sources.engine, state.sources.queue) as snapshot:
        ((revision,),) = await snapshot.rows(
            select(func.max(literal_column("version_num"))).select_from(text("alembic_version"))
        )
    schema.require(revision)
    return await check_keys(state)


async def _redis(state: State) -> str:
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            await state.sources.queue.depth()
    except (Unavailable, TimeoutError):
        return "ok: Redis does not answer, so answers say no watermark"
    return "ok"


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    config: Settings = app.state.settings
    redis, cache_redis = connect(config), connect(config, timeout=CALL_SECONDS)
    queue = app.state.queue = Reader(redis)
    cache = AnswerCache(cache_redis)
    lanes = Lanes(config, config.database_replica_url)
    primary = open_engine(config) if config.database_replica_url else None
    replica = Replica(primary, lanes.light, queue) if primary else None
    register = primary or lanes.light
    projects = KnownProjects(register)
    epoch = KnownEpoch(register, queue)
    app.state.sources = Sources(lanes.light, queue, replica, lanes, cache, projects, epoch)
    app.state.keys = KeyCache(DatabaseKeys(register), config.api_keys)
    try:
        yield
    finally:
        await cache.close()
        await lanes.dispose()
        if primary:
            await primary.dispose()
        await redis.aclose()
        await cache_redis.aclose()


def _middleware(settings: Settings) -> list[Middleware]:
    origins = Origins(settings.api_cors_origins, EXPOSED)
    return [Middleware(Measured), Middleware(Cors, origins=origins, methods=b"GET")]


ROLE = Role(
    name="api",
    routes=lambda settings: (*ROUTES, *reference.routes(settings)),
    lifespan=_lifespan,
    checks={"database": _database, "redis": _redis},
    middleware=_middleware,
)
create = ROLE.create
