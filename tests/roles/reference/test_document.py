"""openapi.json names every address of every role, and its types plainly.

`tests/queries/answers/test_openapi.py` holds it to what the questions do, and `tests/sdks` to the
programs that make clients of it.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from starlette.routing import Route, WebSocketRoute

from analytics.openapi import Part, document
from analytics.protocols import native
from analytics.queries import QUESTIONS
from analytics.queries.answers.openapi import summary
from analytics.roles import api
from analytics.roles.http.health import OPERATOR_PATHS
from analytics.roles.realtime import realtime, requests, server_sent
from analytics.roles.reference import DOCUMENT, places
from analytics.roles.reference.collector import Batch, NewEvent
from analytics.roles.reference.page import PAGE
from analytics.settings import Settings

OPERATIONS = [
    (path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if method != "servers"
]
each = pytest.mark.parametrize(
    ("path", "operation"), OPERATIONS, ids=[path for path, _ in OPERATIONS]
)
PAGES = {"/api/openapi.json", *PAGE}
"""What shows the document does not stand in it."""


def described(path: str) -> str:
    return re.sub(r":\w+}", "}", path)


def test_every_address_of_the_api_and_realtime_stands_in_it_and_those_of_operators() -> None:
    routes = [*api.ROLE.routes(Settings()), *realtime.ROUTES]
    served = {
        described(route.path) for route in routes if isinstance(route, Route | WebSocketRoute)
    }
    ours = {"/collect", "/collect.gif", *OPERATOR_PATHS}
    assert set(DOCUMENT["paths"]) == served - PAGES | ours


def test_types_have_plain_names_and_two_of_one_name_would_not() -> None:
    names = list(DOCUMENT["components"]["schemas"])
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z]*", name)] == []
    assert len({name.lower() for name in names}) == len(names)
    twice = Part((msgspec.defstruct("Failure", [("x", int)]),), lambda _: {})
    assert "Failure" not in document({}, [twice])["components"]["schemas"]


@each
def test_a_summary_is_a_short_line(path: str, operation: Any) -> None:
    assert 0 < len(operation["summary"]) <= 80
    assert "\n" not in operation["summary"]


@each
def test_every_operation_has_a_name_of_its_own_a_known_tag_and_the_error_of_any(
    path: str, operation: Any
) -> None:
    names = [other["operationId"] for _, other in OPERATIONS]
    assert names.count(operation["operationId"]) == 1
    assert {*operation["tags"]} <= {tag["name"] for tag in DOCUMENT["tags"]}
    assert "500" in operation["responses"]
    for status, response in operation["responses"].items():
        assert response["description"]
        if status in ("429", "503") and not path.startswith("/health"):
            assert "Retry-After" in response["headers"]


@each
def test_what_needs_no_key_says_so(path: str, operation: Any) -> None:
    free = path == "/api" or path in OPERATOR_PATHS
    assert (operation.get("security") == []) is free
    assert ("401" in operation["responses"]) is not (free or path == "/realtime")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = [*value.values()]
    if isinstance(value, list | tuple):
        for part in value:
            yield from references(part)


def test_every_component_is_used_and_every_reference_leads_somewhere() -> None:
    used = {name.rpartition("/")[2] for name in references(DOCUMENT)}
    assert used == set(DOCUMENT["components"]["schemas"])
    schemes = set(DOCUMENT["components"]["securitySchemes"])
    named = [*DOCUMENT["security"], *(s for _, o in OPERATIONS for s in o.get("security", ()))]
    assert {name for scheme in named for name in scheme} == schemes


def test_other_roles_have_servers_of_their_own_at_their_usual_ports() -> None:
    usual = Settings()
    assert {role: usual.port_of(role, ()) for role in places.PORTS} == places.PORTS
    for path, methods in DOCUMENT["paths"].items():
        assert ("servers" in methods) is not path.startswith("/api"), path
    collector = DOCUMENT["paths"]["/collect"]["servers"]
    assert collector[0]["url"] == "/"
    assert collector[1]["variables"]["port"]["default"] == "4001"


def fields(kind: Any) -> dict[str, Any]:
    """The fields of a struct, with what limits them."""
    schema = msgspec.json.schema_components([kind])[1][kind.__name__]
    return {name: schema["properties"][name].get("maxLength") for name in schema["properties"]}


def test_an_event_has_the_fields_that_the_collector_reads() -> None:
    assert NewEvent.__struct_fields__ == native._Item.__struct_fields__
    own = set(native._Body.__struct_fields__) - set(native._Item.__struct_fields__)
    assert set(Batch.__struct_fields__) == own
    body = {"events": [{"session_id": "s", "event_type": "t", "event_action": "a"}]}
    assert msgspec.convert(body, Batch).events[0].event_action == "a"


def test_the_stream_of_events_has_its_own_parameters() -> None:
    described_ = DOCUMENT["paths"]["/realtime/events"]["get"]["parameters"]
    assert tuple(parameter["name"] for parameter in described_) == server_sent.PARAMETERS
    assert set(server_sent.PARAMETERS) <= set(requests.SubscribeRequest.__struct_fields__)


def test_summaries_are_the_first_lines_of_what_answers() -> None:
    for question in QUESTIONS:
        path = "/api" + described(question.path)
        assert DOCUMENT["paths"][path]["get"]["summary"] == summary(question)
