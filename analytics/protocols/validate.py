"""The specification of what a valid event is: each one judged by itself, its first fault named.

Slower than the typed decoding of `native.py`, which must agree with it, and the way of everything
that is decoded by hand. What an event holds besides the fields below is ignored. Null means absent.
Text is measured in code points. An empty user_id is `too_short`: it is nobody, and as an actor it
would be everybody without a name.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from analytics.errors import BadRequest, TooLarge
from analytics.events import Event, event_id
from analytics.protocols import metadata
from analytics.protocols.clock import Clock, Timestamp, timestamp
from analytics.protocols.ids import uuid7s
from analytics.protocols.protocol import (
    MAX_EVENTS,
    Decoded,
    Draft,
    Fault,
    Incoming,
    Rejection,
    empty_batch,
)

LIMITS = {"session_id": 64, "event_type": 100, "event_action": 255, "user_id": 255, "id": 255}
"""Code points that a field may have; none may be empty."""


class Batch(msgspec.Struct, frozen=True):
    """A body taken apart, its events not yet judged."""

    events: list[Any]
    write_key: str | None = None
    sent_at: Timestamp | None = None


def draft(incoming: Incoming) -> Draft:
    """A body, understood. Raises BadRequest when it is no JSON, no batch, or an empty one, TooLarge
    when it has too many events.
    """
    batch = _batch(parse(incoming.body))
    if not batch.events:
        raise empty_batch()
    if len(batch.events) > MAX_EVENTS:
        raise TooLarge(f"a request may hold {MAX_EVENTS} events")
    try:
        clock = Clock(incoming.received, incoming.retention_days, batch.sent_at)
    except Fault as fault:
        raise BadRequest(fault.message, code=fault.code, field=fault.field) from fault
    return Draft(batch.write_key, partial(judge, batch.events, clock))


def judge(items: Iterable[Any], clock: Clock, project: str) -> Decoded:
    """Values that `metadata.parse` read → events, and verdicts for those that are none."""
    items = list(items)
    fresh = iter(uuid7s(len(items), clock.received))
    events, rejected = [], []
    for index, item in enumerate(items):
        try:
            events.append(event(item, clock, project, next(fresh)))
        except Fault as fault:
            rejected.append(Rejection(index, fault.code, fault.field, fault.message))
    return Decoded(events, rejected)


def parse(body: bytes) -> Any:
    """A body's JSON. Raises BadRequest."""
    try:
        return metadata.parse(body.decode().removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8 (byte {error.start})", code="not_json") from error
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}", code="not_json") from error


def _batch(body: Any) -> Batch:
    """A list is a batch; so is what an object has under `events`; any other object is one event,
    which may carry write_key and sent_at.
    """
    if isinstance(body, list):
        return Batch(body)
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
        return Batch(events, key, None if sent_at is None else timestamp(sent_at, "sent_at"))
    except Fault as fault:
        raise BadRequest(fault.message, code=fault.code, field=fault.field) from fault


def event(item: Any, clock: Clock, project: str, fresh: UUID) -> Event:
    """One event judged; `fresh` is its id when it brings none. Raises Fault."""
    if not isinstance(item, dict):
        raise Fault("wrong_type", None, "an event must be an object")
    session_id = _required(item, "session_id")
    event_type = _required(item, "event_type")
    event_action = _required(item, "event_action")
    user_id = _optional(item, "user_id")
    name = _id(item)
    moment = _moment(item, clock)
    extra = item.get("metadata")
    if extra is not None:
        metadata.check(extra)
    return Event(
        project=project,
        id=fresh if name is None else event_id(name),
        session_id=session_id,
        user_id=user_id,
        event_type=event_type,
        event_action=event_action,
        metadata=b"{}" if extra is None else metadata.encode(extra),
        timestamp=moment,
        created_at=clock.received,
        named=name is not None,
    )


def _moment(item: dict[str, Any], clock: Clock) -> datetime:
    value = item.get("timestamp")
    return clock.moment(None if value is None else timestamp(value))


def _required(item: dict[str, Any], field: str) -> str:
    value = _optional(item, field)
    if value is None:
        raise Fault("missing", field, f"{field} is missing")
    return value


def _optional(item: dict[str, Any], field: str) -> str | None:
    value = item.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Fault("wrong_type", field, f"{field} must be a string")
    if not value:
        raise Fault("too_short", field, f"{field} is empty")
    if len(value) > LIMITS[field]:
        raise Fault(
            "too_long", field, f"{field} has {len(value)} characters, {LIMITS[field]} are allowed"
        )
    if metadata.unfit(value):
        raise Fault("bad_character", field, f"{field} has a NUL or a lone surrogate")
    return value


def _id(item: dict[str, Any]) -> str | None:
    """Any string is an id, so only one that is none, or empty, is a `bad_id`."""
    if item.get("id") is not None and (not isinstance(item["id"], str) or not item["id"]):
        raise Fault("bad_id", "id", "id must be a UUID or any other string")
    return _optional(item, "id")
