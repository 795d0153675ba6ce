"""A role as data, and as an ASGI app made from it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from analytics.roles.http.errors import HANDLERS
from analytics.roles.http.health import Check, Health
from analytics.roles.http.known_host import KnownHost
from analytics.roles.http.real_client import RealClient
from analytics.roles.http.shield import Shield
from analytics.roles.http.slashes import Slashes
from analytics.settings import Settings, load

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]
"""Opens what a role needs and puts it on `app.state`, where `settings` already is.

`app.state.queue` must be there: `/metrics` refreshes its gauges.
"""


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """One of the four roles: what it serves, and what it needs."""

    name: str
    """As in `settings.ROLES`."""
    lifespan: Lifespan
    checks: Mapping[str, Check]
    """Dependency → its check, for `/health`."""
    routes: Callable[[Settings], Sequence[BaseRoute]] = lambda _: ()
    """The role's own routes. Raises ConfigurationError for settings that contradict each other."""
    middleware: Callable[[Settings], Sequence[Middleware]] = lambda _: ()
    """The role's own middleware, outermost first."""

    def app(self, settings: Settings) -> Starlette:
        """The role as an ASGI app, with health and metrics. Raises what `routes` raises.

        `app.state.ready` is true from the end of start-up until the server begins to stop.
        """

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            app.state.settings = settings
            async with self.lifespan(app):
                app.state.ready = True
                try:
                    yield
                finally:
                    app.state.ready = False

        local = [] if settings.production else [Middleware(KnownHost, host=settings.host)]
        real_client = Middleware(RealClient, trusted=settings.trusted_proxies)
        routes = [*self.routes(settings), *Health(self.name, self.checks).routes]
        slashes = Middleware(Slashes, routes=routes)
        outer = [Middleware(Shield), *local, real_client, slashes]
        app = Starlette(
            routes=routes,
            middleware=[*outer, *self.middleware(settings)],
            exception_handlers=HANDLERS,
            lifespan=lifespan,
        )
        # a redirect would not be JSON, and it would go wherever the Host header says
        app.router.redirect_slashes = False
        return app

    def create(self) -> Starlette:
        """The app with settings from the environment, for an ASGI server of your choice."""
        return self.app(load())
