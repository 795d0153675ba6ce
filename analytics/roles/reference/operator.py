"""OpenAPI of the operator's addresses, which every role has."""

from typing import Literal

import msgspec

from analytics.openapi import JSON, Object, Part, SchemaOf, failures, header, response
from analytics.roles.http.health import ROLE_HEADER
from analytics.roles.reference import places

TAG = "operator"
ERRORS = {"500": "A bug in the platform"}
HEADERS = {ROLE_HEADER: header("The role that answers")}


class Alive(msgspec.Struct):
    """The process responds; `uptime` is in seconds."""

    status: Literal["alive"]
    version: str
    uptime: int


class Health(msgspec.Struct):
    """Whether a role takes requests. `checks` has `ok…`, or what is wrong, for what it needs."""

    status: Literal["healthy", "unhealthy"]
    version: str
    uptime: int
    checks: dict[str, str]


def _paths(schema_of: SchemaOf) -> Object:
    health = {JSON: schema_of(Health)}
    return {
        "/health": _get(
            "health",
            "Whether the role is ready for requests",
            {
                "200": response("It is", health, HEADERS),
                "503": response("It is not", health, HEADERS),
            },
            schema_of,
        ),
        "/health/live": _get(
            "health_live",
            "Whether the process responds",
            {"200": response("It does", {JSON: schema_of(Alive)}, HEADERS)},
            schema_of,
        ),
        "/metrics": _get(
            "metrics",
            "Metrics in the text format of Prometheus",
            {"200": response("All metrics", {"text/plain": {"type": "string"}})},
            schema_of,
        ),
    }


def _get(name: str, summary: str, responses: Object, schema_of: SchemaOf) -> Object:
    operation = {
        "operationId": name,
        "summary": summary,
        "tags": [TAG],
        "security": [],
        "responses": {**responses, **failures(ERRORS, schema_of)},
    }
    return {"servers": [places.any_role()], "get": operation}


PART = Part((Alive, Health), _paths)
