"""Realtime: what is stored is shown to who listens, over a WebSocket at `/realtime` or as
server-sent events at `/realtime/events`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from analytics import settings
from analytics.live import Bus
from analytics.projects import Keys
from analytics.queue.reader import Reader
from analytics.redis import RedisKeys, connect
from analytics.redis.connection import raises_unavailable
from analytics.roles.http.cors import Cors, Origins
from analytics.roles.http.role import role_app
from analytics.roles.realtime import server_sent, sockets
from analytics.roles.realtime.admission import Lobby
from analytics.roles.realtime.subscriptions import Hub
from analytics.settings import Settings

EVENTS = Route("/realtime/events", server_sent.EventStreams(), methods=["GET"])
EVENTS.methods = {"GET"}  # a HEAD would open a stream that nobody can read

ROUTES = (WebSocketRoute("/realtime", sockets.endpoint), EVENTS)


async def _redis(state: State) -> str:
    with raises_unavailable():
        await state.redis.ping()
    return "ok"


async def _gauges(state: State) -> None:
    await Reader(state.redis).refresh_gauges()


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    config: Settings = app.state.settings
    redis = app.state.redis = connect(config)
    try:
        async with Bus(redis) as bus:
            app.state.lobby = Lobby(
                app.state, Keys(RedisKeys(redis), config.api_keys), Hub(redis, bus)
            )
            yield
    finally:
        await redis.aclose()


def app(config: Settings) -> Starlette:
    """Realtime as an ASGI app."""
    cors = Middleware(Cors, origins=Origins(config.cors_origins))
    return role_app(
        config,
        ROUTES,
        lifespan=_lifespan,
        checks={"redis": _redis},
        gauges=_gauges,
        middleware=[cors],
    )


def create() -> Starlette:
    """An app from the environment, for an ASGI server of the operator's choice."""
    return app(settings.load())
