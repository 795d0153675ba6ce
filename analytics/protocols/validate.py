"""The specification of a valid event. Each event is checked by itself, and its first error named.

Slower than the typed decoding of `native.py`, which must agree with this file. Every protocol but
the native one goes this way. Other fields than those below are ignored. Null means absent. Text is
measured in code points. An empty user_id is `too_short`: it names nobody, and as an actor it would
merge all events that have it.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from analytics.errors import BadRequest
from analytics.events import Event, event_id
from analytics.protocols import metadata
from analytics.protocols.characters import BAD, described, unfit
from analytics.protocols.clock import Clock, Timestamp, timestamp
from analytics.protocols.ids import uuid7s
from analytics.protocols.protocol import (
    Decoded,
    Draft,
    EventError,
    Incoming,
    Rejection,
    bound_count,
    empty_batch,
)

LIMITS = {"session_id": 64, "event_type": 100, "event_action": 255, "user_id": 255, "id": 255}
"""Field → the most code points that it may have; the least is 1."""


class ParsedBody(msgspec.Struct, frozen=True):
    """A body taken apart, its events not yet checked."""

    events: list[Any]
    write_key: str | None = None
    sent_at: Timestamp | None = None


def draft(incoming: Incoming) -> Draft:
    """A body, parsed. Its key may also be in a header.

    Raises BadRequest when it is not JSON, not a batch, or an empty one; TooLarge for too many
    events.
    """
    body = _parsed(metadata.read(incoming.body))
    if not body.events:
        raise empty_batch()
    bound_count(len(body.events))
    try:
        clock = Clock(incoming.received, incoming.retention_days, body.sent_at)
    except EventError as error:
        raise BadRequest(error.message, code=error.code, field=error.field) from error
    key = incoming.key if body.write_key is None else body.write_key
    decode_all = partial(decode, body.events, clock, incoming.max_event_bytes)
    return Draft.of_one_key(key, len(body.events), decode_all)


def decode(items: Iterable[Any], clock: Clock, max_bytes: int, project: str) -> Decoded:
    """Values that `metadata.parse` read → events, and a rejection for each that is not valid.

    `max_bytes` is how large the metadata of each may be.
    """
    items = list(items)
    ids = iter(uuid7s(len(items), clock.received))
    events, rejected = [], []
    for index, item in enumerate(items):
        try:
            events.append(event(item, clock, max_bytes, project, next(ids)))
        except EventError as error:
            rejected.append(Rejection(index, error.code, error.field, error.message))
    return Decoded(events, rejected)


def _parsed(body: Any) -> ParsedBody:
    """A body may be a list of events, an object with `events`, or one event.

    An object may also have write_key and sent_at. Raises BadRequest.
    """
    if isinstance(body, list):
        return ParsedBody(body)
    if not isinstance(body, dict):
        raise BadRequest(
            "the body must be an event, a list of events, or an object with `events`",
            code="wrong_type",
        )
    events = body.get("events") if "events" in body else [body]
    if not isinstance(events, list):
        raise BadRequest("events must be a list", code="wrong_type", field="events")
    key, sent_at = body.get("write_key"), body.get("sent_at")
    if key is not None and not isinstance(key, str):
        raise BadRequest("write_key must be a string", code="wrong_type", field="write_key")
    try:
        return ParsedBody(events, key, None if sent_at is None else timestamp(sent_at, "sent_at"))
    except EventError as error:
        raise BadRequest(error.message, code=error.code, field=error.field) from error


def event(item: Any, clock: Clock, max_bytes: int, project: str, new_id: UUID) -> Event:
    """One event; `new_id` is its id if the sender gave none. Raises EventError."""
    if not isinstance(item, dict):
        raise EventError("wrong_type", None, "an event must be an object")
    session_id = _required(item, "session_id")
    event_type = _required(item, "event_type")
    event_action = _required(item, "event_action")
    user_id = _optional(item, "user_id")
    sent_id = _id(item)
    moment = _moment(item, clock)
    properties = _metadata(item.get("metadata"), max_bytes)
    return Event(
        project=project,
        id=new_id if sent_id is None else event_id(sent_id),
        session_id=session_id,
        user_id=user_id,
        event_type=event_type,
        event_action=event_action,
        metadata=properties,
        timestamp=moment,
        created_at=clock.received,
        named=sent_id is not None,
    )


def _metadata(properties: Any, max_bytes: int) -> bytes:
    """Metadata as it is stored: JSON without blanks, by whose bytes it is measured."""
    if properties is None:
        return b"{}"
    metadata.check(properties)
    encoded = metadata.encode(properties)
    if len(encoded) > max_bytes:
        message = f"metadata has {len(encoded)} bytes, MAX_EVENT_BYTES allows {max_bytes}"
        raise EventError("too_long", "metadata", message)
    return encoded


def _moment(item: dict[str, Any], clock: Clock) -> datetime:
    value = item.get("timestamp")
    return clock.moment(None if value is None else timestamp(value))


def _required(item: dict[str, Any], field: str) -> str:
    value = _optional(item, field)
    if value is None:
        raise EventError("missing", field, f"{field} is missing")
    return value


def _optional(item: dict[str, Any], field: str) -> str | None:
    value = item.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise EventError("wrong_type", field, f"{field} must be a string")
    if not value:
        raise EventError("too_short", field, f"{field} is empty")
    if len(value) > LIMITS[field]:
        raise EventError(
            "too_long", field, f"{field} has {len(value)} characters, {LIMITS[field]} are allowed"
        )
    if unfit(value):
        raise EventError(BAD, field, f"{field} has {described(value)}")
    return value


def _id(item: dict[str, Any]) -> str | None:
    """Any string but the empty one may be an id; anything else is a `bad_id`."""
    if item.get("id") is not None and (not isinstance(item["id"], str) or not item["id"]):
        raise EventError("bad_id", "id", "id must be a UUID or any other string")
    return _optional(item, "id")
