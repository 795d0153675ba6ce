"""The corpus at every route of every role: never a 500, never a hang, always a reply of ours."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from analytics import metrics
from analytics.events import Job, pack
from analytics.projects import KeyCache
from analytics.protocols import PROTOCOLS
from analytics.queries import QUESTIONS, Question
from analytics.queries.language.parameters import parameters
from analytics.roles import api, processor
from analytics.roles.collector import collector
from analytics.roles.collector.intake import Intake
from analytics.roles.realtime import realtime
from analytics.settings import ROLES, Settings
from analytics.stores import PostgresStore
from tests.collecting import MemorySalts, MemorySink, Table
from tests.hostile.asking import ask, fault
from tests.hostile.corpus import BODIES, EVENT, HEADER_NAMES, HEADERS, VALUES, encoded

KEY = "ak_r_static"
AUTHORIZED = (b"authorization", f"Bearer {KEY}".encode())
LARGE = 20_000
FIRST = {next(iter(protocol.routes)) for protocol in PROTOCOLS}
"""One path of each protocol, for slow tests."""

WHOLE = {
    "/collect",
    "/collect.gif",
    "/v1/batch",
    "/batch/",
    "/tracker.js",
    "/api/export",
    "/api/openapi.json",
    "/api/docs",
    "/realtime/events",
    "/health/live",
    "/metrics",
}
"""Paths that get every header; other paths get only the two headers with keys."""

OURS = ("/collect", "/health", "/health/live", "/metrics", "/tracker.js")
EVERY_METHOD = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "X" * 200,
)
QUERY_NAMES = sorted(
    {
        *EVENT,
        "data",
        "ids",
        "write_key",
        "api_key",
        "_",
        "ip",
        "idsite",
        "rec",
        "action_name",
        "cid",
        "en",
        "tid",
        "measurement_id",
        "compression",
    }
)


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Starlette, MemorySink]]:
    """The collector with every protocol, and its sink."""
    sink = MemorySink()

    @asynccontextmanager
    async def intake(config: Settings) -> AsyncIterator[Intake]:
        yield Intake(sink, KeyCache(Table(), (KEY,)), MemorySalts(), config)

    app = collector.role(intake).app(Settings(tracker_paths=("/js/script.js", "/other")))
    async with app.router.lifespan_context(app):
        yield app, sink


@pytest.fixture
def config(migrated_url: str, redis_url: str) -> Settings:
    return Settings(
        environment="test", database_url=migrated_url, redis_url=redis_url, api_keys=(KEY,)
    )


def apps(config: Settings) -> dict[str, Starlette]:
    """The apps that need Redis or a database."""
    return {
        "api": api.ROLE.app(config),
        "realtime": realtime.ROLE.app(config),
        "processor": processor.ROLE.app(config),
    }


def routes(app: Starlette) -> Iterator[tuple[str, str]]:
    """Every method and path that an app serves over HTTP."""
    for route in app.routes:
        if isinstance(route, WebSocketRoute):
            continue
        assert isinstance(route, Route)
        assert route.methods
        for method in sorted(route.methods):
            yield method, route.path


def fill(path: str, value: bytes = b"x") -> bytes:
    """A route's path with a value for each of its parameters."""
    return re.sub(rb"\{[^}]*\}", lambda _: value, path.encode())


def is_ours(path: str) -> bool:
    """Whether errors there have our own shape, not that of another product."""
    return path in OURS or path.startswith(("/js/", "/other"))


# the collector


async def test_no_body_breaks_a_route_of_the_collector_and_whatever_is_taken_can_be_stored(
    migrated_url: str,
) -> None:
    faults = []
    async with collecting() as (app, sink):
        for method, path in routes(app):
            if method != "POST":
                continue
            for name, body in BODIES.items():
                if len(body) > LARGE and path not in FIRST:
                    continue
                wrong = fault(
                    await ask(
                        app,
                        method,
                        fill(path),
                        b"ids=1",
                        [(b"content-type", b"application/json")],
                        body,
                    ),
                    ours=is_ours(path),
                )
                faults += [f"{path}, {name}: {wrong}"] * bool(wrong)
        events = sink.events
    assert faults == []
    assert len(events) > 500
    pack(events)
    store = await PostgresStore.open(Settings(database_url=migrated_url))
    jobs = [Job(f"job {at}", tuple(events[at : at + 1000])) for at in range(0, len(events), 1000)]
    outcomes = [outcome for job in jobs for outcome in (await store.write([job])).outcomes]
    await store.close()
    assert sum(outcome.dead_lettered for outcome in outcomes) == 0
    assert sum(outcome.stored + outcome.duplicate for outcome in outcomes) == len(events)


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"zstd", b"deflate", b"gzip, gzip", b"\xff"])
async def test_no_encoding_breaks_a_route_of_the_collector(encoding: bytes) -> None:
    faults = []
    async with collecting() as (app, sink):
        for method, path in routes(app):
            if method == "POST" and path in FIRST:
                for name in ("nothing", "an empty object", "a gzip bomb", "half a gzip", "no gzip"):
                    wrong = fault(
                        await ask(
                            app,
                            method,
                            fill(path),
                            headers=[(b"content-encoding", encoding)],
                            body=BODIES[name],
                        ),
                        ours=is_ours(path),
                    )
                    faults += [f"{path}, {name}: {wrong}"] * bool(wrong)
        assert sink.events == []
    assert faults == []


async def test_no_query_string_and_no_path_breaks_a_route_of_the_collector() -> None:
    faults = []
    async with collecting() as (app, _):
        for method, path in routes(app):
            for name, value in VALUES.items():
                everywhere = b"&".join(b"%b=%b" % (encoded(each), value) for each in QUERY_NAMES)
                query = b"%b&%b=1&%b" % (value, value, everywhere)
                wrong = fault(
                    await ask(
                        app,
                        method,
                        fill(path, value),
                        query,
                        body=b"{}" if method == "POST" else b"",
                    ),
                    ours=is_ours(path),
                )
                faults += [f"{method} {path}, {name}: {wrong}"] * bool(wrong)
    assert faults == []


# the api


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.path)
async def test_no_value_of_any_parameter_breaks_a_question(
    config: Settings, question: Question
) -> None:
    faults = []
    app = api.ROLE.app(config)
    needed = {"step": b"a", "window": b"1d"} if question.path == "/funnel" else {}
    async with app.router.lifespan_context(app):
        for parameter in parameters(question.query):
            others = b"&".join(
                b"%b=%b" % (name.encode(), value)
                for name, value in needed.items()
                if name != parameter
            )
            for name, value in VALUES.items():
                in_path = f"{{{parameter}" in question.path
                path = fill(api.PREFIX + question.path, value if in_path else b"x")
                query = others if in_path else b"%b&%b=%b" % (others, parameter.encode(), value)
                answer = await ask(app, "GET", path, query, [AUTHORIZED])
                expected = (200, 400, 404) if parameter == "project" else (200, 400)
                wrong = fault(answer) or (
                    None
                    if answer.status in expected
                    else f"status {answer.status}: {answer.body[:200]!r}"
                )
                faults += [f"{parameter}, {name}: {wrong}"] * bool(wrong)
        for name, value in VALUES.items():
            answer = await ask(
                app,
                "GET",
                fill(api.PREFIX + question.path),
                b"%b=1&%b" % (value, value),
                [AUTHORIZED],
            )
            wrong = fault(answer)
            faults += [f"as a name, {name}: {wrong}"] * bool(wrong)
    assert faults == []


async def test_there_are_no_tables_the_fewer_for_all_that_sql(
    config: Settings, migrated_url: str
) -> None:
    app = api.ROLE.app(config)
    async with app.router.lifespan_context(app):
        for field in ("where", "event", "by", "measure", "tz", "cursor", "project"):
            await ask(
                app, "GET", b"/api/trends", b"%b=%b" % (field.encode(), VALUES["SQL"]), [AUTHORIZED]
            )
        answer = await ask(app, "GET", b"/api/trends", b"", [AUTHORIZED])
        assert (answer.status, answer.json["data"]["series"][0]["total"]) == (200, 0)


# realtime


async def test_no_parameter_breaks_server_sent_events(config: Settings) -> None:
    faults = []
    app = realtime.ROLE.app(config)
    async with app.router.lifespan_context(app):
        for name, value in VALUES.items():
            for parameter in (
                *(word.encode() for word in ("channel", "project", "event", "where", "id")),
                value,
            ):
                answer = await ask(
                    app, "GET", b"/realtime/events", b"%b=%b" % (parameter, value), [AUTHORIZED]
                )
                wrong = fault(answer)
                faults += [f"{parameter!r}, {name}: {wrong}"] * bool(wrong)
    assert faults == []


# every role


@pytest.mark.parametrize("role", ["collector", "api", "realtime", "processor"])
async def test_no_header_and_no_method_breaks_a_route(config: Settings, role: str) -> None:
    async with collecting() as (first, _):
        if role == "collector":
            assert await _headers_and_methods(role, first) == []
            return
    app = apps(config)[role]
    async with app.router.lifespan_context(app):
        assert await _headers_and_methods(role, app) == []


async def _headers_and_methods(role: str, app: Starlette) -> list[str]:
    """What is wrong with the answers to each header's values, and to each method.

    Of paths of one kind only one is tried.
    """
    faults = []
    for method, path in routes(app):
        ours = (
            role != "collector" or is_ours(path)
        ) and path != "/health"  # whose 503 has a form of its own
        for header in (
            HEADER_NAMES if path in WHOLE else HEADER_NAMES[:2] if ours or path in FIRST else ()
        ):
            for name, value in HEADERS.items():
                headers = [
                    (header, value),
                    *(
                        []
                        if header in (b"authorization", b"x-api-key") or role == "collector"
                        else [AUTHORIZED]
                    ),
                ]
                body = json.dumps(EVENT).encode() if method == "POST" else b""
                # a header of that kind makes it a CloudEvent
                expected = ours and method != "HEAD" and not header.startswith(b"ce-")
                wrong = fault(
                    await ask(app, method, fill(path), headers=headers, body=body), ours=expected
                )
                faults += [f"{role} {method} {path}, {header!r} is {name}: {wrong}"] * bool(wrong)
    for path in dict.fromkeys(path for _, path in routes(app)):
        for method in EVERY_METHOD:
            ours = (
                (role != "collector" or is_ours(path))
                and method not in ("HEAD", "OPTIONS")
                and path != "/health"
            )
            wrong = fault(await ask(app, method, fill(path), headers=[AUTHORIZED]), ours=ours)
            faults += [f"{role} {method[:10]} {path}: {wrong}"] * bool(wrong)
    return faults


@pytest.mark.parametrize("role", ["collector", "api", "realtime", "processor"])
async def test_paths_of_nowhere_are_404_in_json_and_name_no_metric(
    config: Settings, role: str
) -> None:
    faults = []
    async with collecting() as (first, _):
        app = first if role == "collector" else apps(config)[role]
        for prefix in (b"/", b"/api/", b"/realtime/", b"/collect/", b"/health/", b"//", b"*"):
            for name, value in VALUES.items():
                answer = await ask(app, "GET", prefix + value + b"/x%22%7D%201%0Ainjected")
                wrong = fault(answer) or (
                    None if answer.status in (401, 404, 405) else f"status {answer.status}"
                )
                faults += [f"{prefix!r}, {name}: {wrong}"] * bool(wrong)
    assert faults == []
    check_metrics()


SAMPLE = re.compile(
    r"(\w+?)(?:_bucket|_sum|_count)?"  # the metric
    r'(?:\{(?:\w+="(?:[^"\\\n]|\\.)*",?)*\})?'  # its labels
    r" [-+.\deEinfNa]+"  # the value
)


def check_metrics() -> None:
    """The metrics have only lines of the exposition format, for metrics that we declared."""
    declared = {each.name for each in metrics.REGISTRY.get_all()}
    shown = "".join(metrics.render(role)[0].decode() for role in ROLES)
    for line in shown.splitlines():
        name = SAMPLE.fullmatch(line)
        assert line.startswith("# ") or (
            name and (name[1] in declared or line.split("{")[0].split(" ")[0] in declared)
        ), line
