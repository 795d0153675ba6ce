"""Realtime: streams events as they are stored.

Over a WebSocket at `/realtime`, or as server-sent events at `/realtime/events`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from analytics.live import Bus
from analytics.projects import KeyCache
from analytics.queue.reader import Reader
from analytics.redis import RedisKeys, connect
from analytics.redis.connection import raises_unavailable
from analytics.roles.http.cors import Cors, Origins
from analytics.roles.http.health import check_keys
from analytics.roles.http.role import Role
from analytics.roles.realtime import server_sent, sockets
from analytics.roles.realtime.admission import Admission
from analytics.roles.realtime.subscriptions import Hub
from analytics.settings import Settings

EVENTS = Route("/realtime/events", server_sent.EventsEndpoint(), methods=["GET"])
EVENTS.methods = {"GET"}  # Starlette adds HEAD, which would open a stream that nobody can read

ROUTES = (WebSocketRoute("/realtime", sockets.endpoint), EVENTS)


async def _check_redis(state: State) -> str:
    with raises_unavailable():
        await state.redis.ping()
    return await check_keys(state)


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    redis = app.state.redis = connect(settings)
    app.state.queue = Reader(redis)
    keys = app.state.keys = KeyCache(RedisKeys(redis), settings.api_keys)
    try:
        async with Bus(redis) as bus:
            app.state.admission = Admission(app.state, keys, Hub(redis, bus))
            yield
    finally:
        await redis.aclose()


def _middleware(settings: Settings) -> list[Middleware]:
    return [Middleware(Cors, origins=Origins(settings.cors_origins))]


ROLE = Role(
    name="realtime",
    routes=lambda _: ROUTES,
    lifespan=_lifespan,
    checks={"redis": _check_redis},
    middleware=_middleware,
)
create = ROLE.create
