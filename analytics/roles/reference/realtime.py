"""OpenAPI of `/realtime`, a WebSocket, as far as OpenAPI can say it, and `/realtime/events`."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from analytics.openapi import Object, Part, SchemaOf, failures, response
from analytics.roles.realtime import messages
from analytics.roles.realtime.requests import (
    AuthRequest,
    SubscribeRequest,
    Text,
    UnsubscribeRequest,
)
from analytics.roles.reference import places

TAG = "realtime"

REQUESTS = (AuthRequest, SubscribeRequest, UnsubscribeRequest)
MESSAGES = (
    messages.SubscribedMessage,
    messages.EventMessage,
    messages.CountersMessage,
    messages.GapMessage,
    messages.ErrorMessage,
)

ERRORS = {
    "400": "A parameter is unknown, wrong or given twice; `field` names it",
    "401": "No key, or one that is unknown, expired or revoked",
    "403": "A key without the scope `realtime`, of another project, or not for this page",
    "404": "There is no project of this name",
    "429": "Too many requests from this address; only behind the front door",
    "500": "A bug in the platform",
    "503": "Too many clients, or this server is stopping; retry after Retry-After",
}
PARAMETERS: dict[str, tuple[Any, str]] = {
    "channel": (Literal["events", "counters"], "Default: events"),
    "project": (Annotated[str, Meta(min_length=1, max_length=64)], "Default: that of the key"),
    "event": (Text, "Which events: `TYPE[:ACTION]`"),
    "where": (tuple[Text, ...], "`FIELD.OP[.VALUES]`, repeatable; all must hold"),
}


def _paths(schema_of: SchemaOf) -> Object:
    servers = [places.FRONT_DOOR, places.role("realtime")]
    return {
        "/realtime": {"servers": servers, "get": _socket(schema_of)},
        "/realtime/events": {"servers": servers, "get": _stream(schema_of)},
    }


def _socket(schema_of: SchemaOf) -> Object:
    refused = {status: ERRORS[status] for status in ("403", "429", "500", "503")}
    return {
        "operationId": "realtime",
        "summary": "Watch events over a WebSocket",
        "description": "Open a WebSocket here. The key is in a header, or in a first message within"
        " 5 s. Each message is a JSON object; `x-messages` lists those of both sides.",
        "tags": [TAG],
        "responses": {
            "101": response("The WebSocket is open"),
            **failures(refused, schema_of),
        },
        "x-messages": {
            "client": {"oneOf": [*map(schema_of, REQUESTS)]},
            "server": {"oneOf": [*map(schema_of, MESSAGES)]},
        },
    }


def _stream(schema_of: SchemaOf) -> Object:
    return {
        "operationId": "realtime_events",
        "summary": "Watch events as server-sent events",
        "description": "One subscription. `event:` is the type of a message, `data:` its JSON, "
        "`id:` the number of events that the project has had.",
        "tags": [TAG],
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": description,
                "schema": msgspec.json.schema(kind),
            }
            for name, (kind, description) in PARAMETERS.items()
        ],
        "responses": {
            "200": response("The stream", {"text/event-stream": {"type": "string"}}),
            **failures(ERRORS, schema_of),
        },
    }


PART = Part((*REQUESTS, *MESSAGES), _paths)
