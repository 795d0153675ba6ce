"""Shared by the tests of what roles share over HTTP: a role with the routes and check of a test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from analytics.roles.http.health import Check
from analytics.roles.http.role import Role
from analytics.settings import Settings


class Queue:
    """A queue whose Redis does not answer."""

    async def refresh_gauges(self) -> None:
        raise ConnectionError


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.queue = Queue()
    yield


async def ok(_: State) -> str:
    return "ok"


def raising(error: Exception) -> Callable[[Request], Awaitable[Response]]:
    async def handler(_: Request) -> Response:
        raise error

    return handler


@asynccontextmanager
async def client(*routes: Route, check: Check = ok) -> AsyncIterator[httpx2.AsyncClient]:
    role = Role(
        name="collector", routes=lambda _: routes, lifespan=lifespan, checks={"redis": check}
    )
    app = role.app(Settings())
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://role") as http,
    ):
        http.app = app  # type: ignore[attr-defined]
        yield http
