"""The first half of an event's way, from a request to the queue.

Decode → project of the write key → pipeline → append to the queue → reply. `take` has these steps.
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

from analytics import metrics, pipeline
from analytics.errors import AnalyticsError, ConfigurationError, TooLarge
from analytics.pipeline.lookups import Budget
from analytics.projects import KeyCache
from analytics.protocols import NATIVE, PROTOCOLS, Decoded, Incoming, Protocol, Reply
from analytics.queue import Queue
from analytics.redis import RedisKeys, Salts, connect
from analytics.roles.collector.body import EMBEDDED_BYTES, EVENT_BYTES, read
from analytics.roles.collector.intake import Intake
from analytics.roles.collector.script import TrackerScript
from analytics.roles.collector.work import Work
from analytics.roles.http.cors import Cors, Headers, Origins
from analytics.roles.http.errors import error_headers, status_of
from analytics.roles.http.headers import by_name
from analytics.roles.http.health import OPERATOR_PATHS, check_keys, check_queue, together
from analytics.roles.http.role import Role
from analytics.settings import Settings
from analytics.tracker import SCRIPT

TRACKER_PATH = "/tracker.js"


class Endpoint:
    """One path as an ASGI app, for one protocol, or for several that share the path.

    The first protocol takes every request that no later one claims.
    """

    def __init__(self, *protocols: Protocol) -> None:
        self.protocols = protocols

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        added: Headers = []
        protocol = self.protocols[0]
        try:
            intake: Intake = scope["app"].state.intake
            headers = by_name(scope["headers"])
            sender = await intake.sender(headers, peer_of(scope))
            async with intake.workplace.work(sender) as work:
                sent, received = await work.read(receive), datetime.now(UTC)
                body = await work.inflate(sent, headers.get(b"content-encoding", b""))
                incoming = incoming_of(scope, headers, body, received)
                protocol = await self.choose(incoming, work)
                reply = await take(protocol, incoming, scope, work)
        except AnalyticsError as error:
            reply = protocol.refuse(error, status_of(error))
            named = error_headers(error).items()
            added = [(name.lower().encode(), value.encode()) for name, value in named]
        if reply.note:
            added.append((b"x-analytics", reply.note.encode("ascii", "replace")))
        await answer(reply, added, send)
        metrics.collect_requests.inc({"protocol": protocol.name, "status": str(reply.status)})
        metrics.collect_latency.observe({}, time.perf_counter() - started)

    async def choose(self, incoming: Incoming, work: Work) -> Protocol:
        """The protocol of a request."""
        for protocol in self.protocols[1:]:
            if await work.call(protocol.claims, incoming):
                return protocol
        return self.protocols[0]


def incoming_of(
    scope: Scope, headers: Mapping[bytes, bytes], body: bytes, received: datetime
) -> Incoming:
    """A request with this body."""
    intake: Intake = scope["app"].state.intake
    return Incoming(
        query=scope["query_string"],
        headers=headers,
        body=body,
        received=received,
        retention_days=intake.retention_days,
        path=scope["path"],
        max_event_bytes=intake.max_event_bytes,
    )


def peer_of(scope: Scope) -> str:
    """The client's address; "" for one without, as at a unix socket."""
    return scope["client"][0] if scope.get("client") else ""


async def take(protocol: Protocol, incoming: Incoming, scope: Scope, work: Work) -> Reply:
    """Takes a request's events in: the reply comes after they are durable in the queue.

    Raises AnalyticsErrors that have a status; nothing was accepted then.
    """
    intake: Intake = scope["app"].state.intake
    headers, peer = incoming.headers, peer_of(scope)
    decoded = await _decoded(protocol, incoming, intake, peer, work)
    _count(decoded)
    salt = await intake.salts.of(incoming.received)
    context = pipeline.context_of(
        headers,
        peer,
        incoming.received,
        relayed=protocol.relayed,
        salt=salt,
        rules=intake.rules,
        budget=partial(Budget, intake.lookup_time, work.sender),
    )
    result = await work.run(decoded.events, context, intake.steps)
    if result.events:
        await intake.sink.append(result.events)
    if result.dropped:
        decoded = msgspec.structs.replace(decoded, dropped=result.dropped)
    reply = await work.call(protocol.accept, incoming, decoded, result.events)
    if not (decoded.note or result.note):
        return reply
    notes = filter(None, (reply.note, decoded.note, result.note))
    return msgspec.structs.replace(reply, note="; ".join(notes))


async def _decoded(
    protocol: Protocol, incoming: Incoming, intake: Intake, peer: str, work: Work
) -> Decoded:
    """A request's events by their keys; what was parsed is forgotten with the draft."""
    draft = await work.call(protocol.read, incoming)
    hidden = draft.shared_bytes + draft.coded_bytes * EMBEDDED_BYTES
    work.size = max(work.size, draft.events * EVENT_BYTES + hidden)
    origin = incoming.headers.get(b"origin")
    projects = await intake.admit(draft.keys, origin, peer, foreign=protocol.foreign)
    return await work.call(draft.decode, projects)


async def answer(reply: Reply, headers: Headers, send: Send) -> None:
    """Send a reply, with these headers besides its own."""
    headers += reply.headers
    if reply.status != HTTPStatus.NO_CONTENT:
        length = b"%d" % len(reply.body)
        headers += ((b"content-type", reply.media_type), (b"content-length", length))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _count(decoded: Decoded) -> None:
    """For the metrics, once a request: each call of a metric takes microseconds."""
    types: dict[str, int] = {}
    for event in decoded.events:
        types[event.event_type] = types.get(event.event_type, 0) + 1
    for event_type, count in types.items():
        metrics.events_received.add({"type": metrics.event_types.word(event_type)}, count)
    if decoded.rejected:
        for code, count in Counter(rejection.code for rejection in decoded.rejected).items():
            metrics.events_rejected.add({"code": code}, count)


class Stub:
    """A path whose reply is always the same, as an ASGI app."""

    def __init__(self, reply: Reply | Callable[[Mapping[str, str]], Reply]) -> None:
        self.reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(TooLarge):
            await read(receive)
        reply = self.reply(scope["path_params"]) if callable(self.reply) else self.reply
        await answer(reply, [], send)


def _routes(settings: Settings) -> list[Route]:
    """The protocols' routes and the tracker's. Raises ConfigurationError."""
    routes = list(_protocol_routes())
    return [*routes, *_tracker_routes(settings.tracker_paths, routes)]


def _protocol_routes() -> Iterator[Route]:
    """Every path of the protocols once, and their stubs."""
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


def _tracker_routes(paths: Sequence[str], others: Sequence[Route]) -> Iterator[Route]:
    """The browser tracker at its own path and at the operator's TRACKER_PATHS.

    A path in `.js` serves the script; any other path takes the script's events. Raises
    ConfigurationError for a path in use.
    """
    script = TrackerScript(SCRIPT)
    yield _route(TRACKER_PATH, script, "GET", "HEAD")
    for path in paths:
        if path in (TRACKER_PATH, *OPERATOR_PATHS) or any(
            route.path_regex.match(path) for route in others
        ):
            message = f"TRACKER_PATHS is wrong: {path} is already in use"
            raise ConfigurationError(message, field="TRACKER_PATHS")
        if path.endswith(".js"):
            yield _route(path, script, "GET", "HEAD")
        else:
            yield _route(path, Endpoint(NATIVE), "POST")


def _route(path: str, app: ASGIApp, *methods: str) -> Route:
    route = Route(path, app, methods=methods)
    # Starlette adds HEAD to GET, but a HEAD must not count as an event
    route.methods = set(methods)
    return route


def _event_paths(settings: Settings) -> re.Pattern[str]:
    """The paths to which pages send events, and ask what libraries ask besides."""
    paths = [path for protocol in PROTOCOLS for path in (*protocol.routes, *protocol.stubs)]
    paths += [path for path in settings.tracker_paths if not path.endswith(".js")]
    return re.compile("|".join(compile_path(path)[0].pattern for path in dict.fromkeys(paths)))


def _middleware(settings: Settings) -> list[Middleware]:
    origins = Origins(settings.cors_origins)
    return [Middleware(Cors, origins=origins, credentialed=_event_paths(settings))]


OpenIntake = Callable[[Settings], AbstractAsyncContextManager[Intake]]


@asynccontextmanager
async def redis_intake(settings: Settings) -> AsyncIterator[Intake]:
    """The intake in front of the queue in Redis."""
    redis = connect(settings)
    try:
        async with Queue(redis, settings) as queue:
            keys = KeyCache(RedisKeys(redis), settings.api_keys)
            yield Intake(queue, keys, Salts(redis), settings)
    finally:
        await redis.aclose()


@asynccontextmanager
async def _lifespan(open_intake: OpenIntake, app: Starlette) -> AsyncIterator[None]:
    async with open_intake(app.state.settings) as intake:
        app.state.intake, app.state.queue, app.state.keys = intake, intake.sink, intake.keys
        yield


async def _check_redis(state: State) -> str:
    return together(await check_queue(state), await check_keys(state))


def role(open_intake: OpenIntake) -> Role:
    """The collector in front of an intake."""
    return Role(
        name="collector",
        routes=_routes,
        lifespan=partial(_lifespan, open_intake),
        checks={"redis": _check_redis},
        middleware=_middleware,
    )


ROLE = role(redis_intake)
create = ROLE.create
