"""OpenAPI of `/collect` and the pixel `/collect.gif`."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from analytics.openapi import JSON, Fault, Object, Part, SchemaOf, failures, response
from analytics.protocols import Rejection
from analytics.protocols.native import EventAction, EventType, Id, SessionId, UserId
from analytics.roles.reference import places

TAG = "collect"

Time = (
    Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset")]
    | Annotated[int, Meta(description="Milliseconds since 1970")]
)


class NewEvent(msgspec.Struct):
    """An event as it is sent. `timestamp` is now by default; `id` makes repeats harmless."""

    session_id: SessionId
    event_type: EventType
    event_action: EventAction
    user_id: UserId | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    timestamp: Time | UnsetType | None = UNSET
    id: Id | UnsetType | None = UNSET


class Batch(msgspec.Struct):
    """Several events, with the sender's key and clock. Each event is judged by itself."""

    events: Annotated[list[NewEvent], Meta(min_length=1)]
    write_key: str | UnsetType | None = UNSET
    sent_at: Time | UnsetType | None = UNSET


Named = Annotated[list[Rejection], Meta(description="The first 100 rejected events")]
Dropped = Annotated[dict[str, int], Meta(description="Valid events not kept, by step: how many")]


class Accepted(msgspec.Struct):
    """So many events are durable in the queue. `ids` come with `?ids=1`."""

    accepted: int
    rejected: Named
    rejected_total: int | UnsetType = UNSET
    dropped: Dropped | UnsetType = UNSET
    ids: list[UUID] | UnsetType = UNSET


class Refused(msgspec.Struct):
    """Nothing was accepted; `rejected` says why for each event, if events were found."""

    error: Fault
    rejected: Named
    rejected_total: int | UnsetType = UNSET


ERRORS = {
    "401": "The key is unknown, revoked or expired, or one is needed",
    "403": "A key without the scope `ingest`, or pages of this origin may not send",
    "408": "The body did not arrive in time",
    "413": "The body is over its limit",
    "415": "Content-Encoding is not gzip, br, zstd or identity",
    "429": "Too many requests; retry after Retry-After",
    "500": "A bug in the platform",
    "503": "Redis is down, full or slow: nothing was accepted; retry after Retry-After",
}
REQUIRED = {"session_id": SessionId, "event_type": EventType, "event_action": EventAction}
OPTIONAL = {
    "user_id": UserId,
    "id": Id,
    "metadata": Annotated[str, Meta(description="A JSON object; else use `metadata.KEY=VALUE`")],
    "timestamp": Annotated[str, Meta(description="RFC 3339, or milliseconds since 1970")],
    "sent_at": Annotated[str, Meta(description="The sender's clock, like `timestamp`")],
    "write_key": Annotated[str, Meta(description="The key, else it is in a header")],
}
"""Fields of the pixel."""

SECURITY: list[Object] = [{}, {"write_key": []}, {"bearer": []}]
IDS = {
    "name": "ids",
    "in": "query",
    "description": "1: the answer has the ids that the events are stored by",
    "schema": {"type": "string", "enum": ["1"]},
}


def _paths(schema_of: SchemaOf) -> Object:
    servers = [places.FRONT_DOOR, places.role("collector")]
    return {
        "/collect": {"servers": servers, "post": _collect(schema_of)},
        "/collect.gif": {"servers": servers, "get": _pixel(schema_of)},
    }


def _collect(schema_of: SchemaOf) -> Object:
    body = {"anyOf": [*map(schema_of, (NewEvent, Batch, list[NewEvent]))]}
    return {
        "operationId": "collect",
        "summary": "Send one event, a list of events, or a batch",
        "description": "The body may have the media type `text/plain` too, as `sendBeacon` sends "
        "it, and Content-Encoding gzip, br or zstd. It has at most 1 MiB, and 10 MiB inflated.",
        "tags": [TAG],
        "security": SECURITY,
        "parameters": [IDS],
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": {
            "202": response("At least one event is durable", {JSON: schema_of(Accepted)}),
            "400": response("No event is valid", {JSON: schema_of(Refused)}),
            **failures(ERRORS, schema_of),
        },
    }


def _pixel(schema_of: SchemaOf) -> Object:
    return {
        "operationId": "collect_gif",
        "summary": "Send one event where a page or mail can only show an image",
        "description": "The fields of an event as parameters; an empty one counts as absent.",
        "tags": [TAG],
        "security": SECURITY,
        "parameters": [
            *(_field(name, kind, required=True) for name, kind in REQUIRED.items()),
            *(_field(name, kind) for name, kind in OPTIONAL.items()),
        ],
        "responses": {
            "200": response("A transparent pixel", {"image/gif": {"type": "string"}}),
            "400": response("The event is not valid", {JSON: schema_of(Refused)}),
            **failures(ERRORS, schema_of),
        },
    }


def _field(name: str, kind: Any, *, required: bool = False) -> Object:
    schema = msgspec.json.schema(kind)
    description = schema.pop("description", f"As in an event: {name}")
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": schema,
    }


PART = Part((NewEvent, Batch, list[NewEvent], Accepted, Refused), _paths)
