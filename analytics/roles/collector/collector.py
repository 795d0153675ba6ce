"""The first half of an event's way: decode → project for the write key → pipeline → group commit to
the queue → the reply.
"""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.routing import Route, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from analytics import metrics, pipeline, settings
from analytics.errors import AnalyticsError, ConfigurationError, TooLarge
from analytics.projects import Keys
from analytics.protocols import NATIVE, PROTOCOLS, Decoded, Incoming, Protocol, Reply
from analytics.queue import Queue
from analytics.redis import RedisKeys, Salts, connect
from analytics.roles.collector.body import beside, inflated, read
from analytics.roles.collector.desk import Desk
from analytics.roles.collector.script import Script
from analytics.roles.http.cors import Cors, Origins
from analytics.roles.http.role import OPERATOR_PATHS, error_headers, role_app, status_of
from analytics.settings import Settings
from analytics.tracker import SCRIPT


class Endpoint:
    """What lives at a path, as an ASGI app: one protocol, or one before others that may claim a
    request.
    """

    def __init__(self, *protocols: Protocol) -> None:
        self.protocols = protocols

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers: list[tuple[bytes, bytes]] = []
        protocol = self.protocols[0]
        try:
            incoming = await receive_whole(scope, receive)
            protocol = await self.choose(incoming)
            reply = await take(protocol, incoming, scope)
        except AnalyticsError as error:
            reply = protocol.refuse(error, status_of(error))
            headers = [
                (name.lower().encode(), value.encode())
                for name, value in error_headers(error).items()
            ]
        if reply.note:
            headers.append((b"x-analytics", reply.note.encode("ascii", "replace")))
        await answer(reply, headers, send)
        metrics.collect_requests.inc({"protocol": protocol.name, "status": str(reply.status)})
        metrics.collect_latency.observe({}, time.perf_counter() - started)

    async def choose(self, incoming: Incoming) -> Protocol:
        """Whose request this is."""
        for protocol in self.protocols[1:]:
            if await beside(len(incoming.body), protocol.claims, incoming):
                return protocol
        return self.protocols[0]


class Stub:
    """What is always answered at a path, whatever is asked."""

    def __init__(self, reply: Reply | Callable[[Mapping[str, str]], Reply]) -> None:
        self.reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(TooLarge):
            await read(receive)
        await answer(
            self.reply(scope["path_params"]) if callable(self.reply) else self.reply, [], send
        )


async def receive_whole(scope: Scope, receive: Receive) -> Incoming:
    """A request with its body read and inflated. Raises what `read` and `inflated` raise."""
    headers = dict(scope["headers"])
    body = await inflated(await read(receive), headers)
    desk: Desk = scope["app"].state.desk
    return Incoming(
        scope["query_string"], headers, body, datetime.now(UTC), desk.retention_days, scope["path"]
    )


async def take(protocol: Protocol, incoming: Incoming, scope: Scope) -> Reply:
    """An event's way through the collector. Raises AnalyticsErrors that have a status."""
    desk: Desk = scope["app"].state.desk
    headers, size = incoming.headers, len(incoming.body)
    peer = scope["client"][0] if scope.get("client") else ""
    draft = await beside(size, protocol.read, incoming)
    project = await desk.admit(draft.key, headers.get(b"origin"), peer, foreign=protocol.foreign)
    decoded = await beside(size, draft.decide, project)
    _count(decoded)
    salt = await desk.salts.of(incoming.received)
    context = pipeline.context_of(
        headers, peer, incoming.received, relayed=protocol.relayed, salt=salt, rules=desk.rules
    )
    passed = pipeline.run(decoded.events, context, desk.steps)
    if passed.events:
        await desk.sink.append(passed.events)
    reply = protocol.accept(incoming, decoded, passed.events)
    return (
        msgspec.structs.replace(reply, note="; ".join(filter(None, (reply.note, passed.note))))
        if passed.dropped
        else reply
    )


async def answer(reply: Reply, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    headers += reply.headers
    if reply.status != HTTPStatus.NO_CONTENT:
        headers += (
            (b"content-type", reply.media_type),
            (b"content-length", b"%d" % len(reply.body)),
        )
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _count(decoded: Decoded) -> None:
    """Once a request, not once an event: each call of a metric takes microseconds."""
    types: dict[str, int] = {}
    for event in decoded.events:
        types[event.event_type] = types.get(event.event_type, 0) + 1
    for event_type, count in types.items():
        metrics.events_received.add({"type": metrics.event_types.word(event_type)}, count)
    if decoded.rejected:
        for code, count in Counter(rejection.code for rejection in decoded.rejected).items():
            metrics.events_rejected.add({"code": code}, count)


def _routes() -> Iterator[Route]:
    """Every protocol's paths, each once, and what is always answered at others."""
    shared: dict[tuple[str, str], list[Protocol]] = {}
    for protocol in PROTOCOLS:
        for path, methods in protocol.routes.items():
            for method in methods:
                shared.setdefault((path, method), []).append(protocol)
    for (path, method), protocols in shared.items():
        yield _route(path, Endpoint(*protocols), method)
    for protocol in PROTOCOLS:
        for path, reply in protocol.stubs.items():
            yield _route(path, Stub(reply), "GET", "POST")


def _tracker_routes(names: Sequence[str], taken: Sequence[Route]) -> Iterator[Route]:
    """The browser tracker's script and, under other names too, what it sends to: a name in .js is
    the script's. Raises ConfigurationError.
    """
    script = Script(SCRIPT)
    yield _route("/tracker.js", script, "GET", "HEAD")
    for path in names:
        if path in ("/tracker.js", *OPERATOR_PATHS) or any(
            route.path_regex.match(path) for route in taken
        ):
            raise ConfigurationError(
                f"TRACKER_PATHS is wrong: {path} is already in use", field="TRACKER_PATHS"
            )
        yield (
            _route(path, script, "GET", "HEAD")
            if path.endswith(".js")
            else _route(path, Endpoint(NATIVE), "POST")
        )


def _route(path: str, app: ASGIApp, *methods: str) -> Route:
    route = Route(path, app, methods=methods)
    route.methods = set(methods)  # a HEAD must not count as a GET does
    return route


def _foreign_paths() -> re.Pattern[str]:
    """Where other products' libraries send."""
    paths = [
        path
        for protocol in PROTOCOLS
        if protocol.foreign
        for path in (*protocol.routes, *protocol.stubs)
    ]
    return re.compile("|".join(compile_path(path)[0].pattern for path in dict.fromkeys(paths)))


@asynccontextmanager
async def redis_desk(config: Settings) -> AsyncIterator[Desk]:
    """A desk before the queue in Redis."""
    redis = connect(config)
    try:
        async with Queue(redis, config) as queue:
            yield Desk(queue, Keys(RedisKeys(redis), config.api_keys), Salts(redis), config)
    finally:
        await redis.aclose()


async def _redis_check(state: State) -> str:
    desk: Desk = state.desk
    return await desk.sink.check()


async def _gauges(state: State) -> None:
    desk: Desk = state.desk
    await desk.sink.refresh_gauges()


@asynccontextmanager
async def _lifespan(
    open_desk: Callable[[Settings], AbstractAsyncContextManager[Desk]], app: Starlette
) -> AsyncIterator[None]:
    async with open_desk(app.state.settings) as app.state.desk:
        yield


def app(
    config: Settings,
    open_desk: Callable[[Settings], AbstractAsyncContextManager[Desk]] = redis_desk,
) -> Starlette:
    """The collector: every protocol's routes and the browser tracker's, before one queue. Raises
    ConfigurationError.
    """
    routes = list(_routes())
    return role_app(
        config,
        [*routes, *_tracker_routes(config.tracker_paths, routes)],
        lifespan=partial(_lifespan, open_desk),
        checks={"redis": _redis_check},
        gauges=_gauges,
        middleware=[
            Middleware(Cors, origins=Origins(config.cors_origins), credentialed=_foreign_paths())
        ],
    )


def create() -> Starlette:
    """An app from the environment, for an ASGI server of the operator's choice."""
    return app(settings.load())
