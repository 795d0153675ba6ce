"""Our own protocol: POST /collect.

`validate.py` defines what is valid. In most bodies every event is valid, and typed decoding by
msgspec proves that many times faster. Whenever it cannot, `validate.py` decides, and names faults.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from analytics.errors import AnalyticsError
from analytics.events import Event, event_id
from analytics.protocols import metadata, validate
from analytics.protocols.clock import Clock, Timestamp
from analytics.protocols.ids import uuid7s
from analytics.protocols.protocol import (
    MAX_EVENT_BYTES,
    Decoded,
    Draft,
    EventError,
    Incoming,
    Protocol,
    Reply,
    bound_count,
)
from analytics.protocols.universal import note
from analytics.protocols.validate import LIMITS

_GROWTH = 6
"""How much longer JSON may be as it is stored than as it is sent: `1e22` has 23 digits."""

SessionId = Annotated[str, Meta(min_length=1, max_length=LIMITS["session_id"])]
EventType = Annotated[str, Meta(min_length=1, max_length=LIMITS["event_type"])]
EventAction = Annotated[str, Meta(min_length=1, max_length=LIMITS["event_action"])]
UserId = Annotated[str, Meta(min_length=1, max_length=LIMITS["user_id"])]
Id = Annotated[str, Meta(min_length=1, max_length=LIMITS["id"])]

_EMPTY = Raw(b"{}")

Canonical = Callable[[bytes], bytes]
"""Metadata → the same with its numbers in canonical form."""


class _Item(msgspec.Struct, gc=False):
    """One event as it is sent."""

    session_id: SessionId
    event_type: EventType
    event_action: EventAction
    user_id: UserId | None = None
    metadata: Raw = _EMPTY
    timestamp: Timestamp | None = None
    id: Id | None = None


class _Body(msgspec.Struct, gc=False):
    """An object as it is sent: an envelope if it has `events`, else an event."""

    events: list[_Item] | UnsetType = UNSET
    write_key: str | None = None
    sent_at: Timestamp | None = None
    session_id: SessionId | UnsetType = UNSET
    event_type: EventType | UnsetType = UNSET
    event_action: EventAction | UnsetType = UNSET
    user_id: UserId | None = None
    metadata: Raw = _EMPTY
    timestamp: Timestamp | None = None
    id: Id | None = None

    def items(self) -> "list[_Item]":
        """Its events. Raises TypeError when it is neither an envelope nor an event."""
        if self.events is not UNSET:
            return self.events
        if self.session_id is UNSET or self.event_type is UNSET or self.event_action is UNSET:
            raise TypeError
        return [
            _Item(
                self.session_id,
                self.event_type,
                self.event_action,
                self.user_id,
                self.metadata,
                self.timestamp,
                self.id,
            )
        ]


_decode_list = msgspec.json.Decoder(list[_Item]).decode
_decode_body = msgspec.json.Decoder(_Body).decode

_UNPROVEN = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
    OverflowError,
    TypeError,
    EventError,
)
"""What typed decoding raises when it cannot prove that the whole body is valid."""


def read(incoming: Incoming) -> Draft:
    """A body, parsed as far as possible before its project is known.

    Its key may also be in a header. Raises BadRequest, TooLarge.
    """
    body = incoming.body
    try:
        body.decode()
        glance = metadata.glance(body)
        if glance.unfit:
            return validate.draft(incoming)
        whole = _Body(_decode_list(body)) if body.lstrip()[:1] == b"[" else _decode_body(body)
        items = whole.items()
        if not items:
            return validate.draft(incoming)
        bound_count(len(items))
        clock = Clock(incoming.received, incoming.retention_days, whole.sent_at)
    except _UNPROVEN:
        return validate.draft(incoming)
    canonical = metadata.canonical if glance.uncanonical else bytes
    key = incoming.key if whole.write_key is None else whole.write_key
    return Draft.of_one_key(
        key, len(items), partial(_decode, incoming, items, clock, canonical, key)
    )


def _decode(
    incoming: Incoming,
    items: list[_Item],
    clock: Clock,
    canonical: Canonical,
    key: str | None,
    project: str,
) -> Decoded:
    try:
        return Decoded(_events(items, clock, canonical, incoming.max_event_bytes, project))
    except _UNPROVEN:
        return validate.draft(incoming).decode({key: project})


def _events(
    items: list[_Item], clock: Clock, canonical: Canonical, max_bytes: int, project: str
) -> list[Event]:
    """All of a body's events. Raises EventError when one is not valid."""
    received = clock.received
    ids = iter(uuid7s(sum(item.id is None for item in items), received))
    return [
        Event(
            project,
            next(ids) if item.id is None else event_id(item.id),
            item.session_id,
            item.user_id,
            item.event_type,
            item.event_action,
            canonical(_metadata(bytes(item.metadata), max_bytes)),
            clock.moment(item.timestamp),
            received,
            item.id is not None,
        )
        for item in items
    ]


def _metadata(text: bytes, max_bytes: int) -> bytes:
    if len(text) * _GROWTH > max_bytes:
        raise EventError("too_long", "metadata", "metadata may be too large as it is stored")
    if text[:1] != b"{":
        if text != b"null":
            raise EventError("wrong_type", "metadata", "metadata must be an object")
        return b"{}"
    brackets = text.count(b"{") + text.count(b"[") if len(text) > 2 * metadata.MAX_DEPTH else 0
    if brackets > metadata.MAX_DEPTH and metadata.too_deep(text):
        raise EventError("too_deep", "metadata", "metadata nests too deep")
    return text


def decode(
    body: bytes,
    received: datetime,
    *,
    project: str,
    retention_days: int = 0,
    max_event_bytes: int = MAX_EVENT_BYTES,
) -> Decoded:
    """A body → its events, whatever key it has. Raises BadRequest, TooLarge."""
    incoming = Incoming(b"", {}, body, received, retention_days, max_event_bytes=max_event_bytes)
    understood = read(incoming)
    return understood.decode(dict.fromkeys(understood.keys, project))


def accept(incoming: Incoming, decoded: Decoded, accepted: Sequence[Event]) -> Reply:
    """How many events were accepted, and why others were not; with `?ids=1` their stored ids."""
    if not decoded.events:
        return refuse_all(decoded)
    if not (decoded.rejected or decoded.dropped or incoming.query):
        return Reply(202, b'{"accepted":%d,"rejected":[]}' % len(accepted))
    answer: dict[str, Any] = {"accepted": len(accepted), "rejected": [], **decoded.verdicts}
    if b"ids" in incoming.query and parse_qs(incoming.query.decode("latin-1")).get("ids") == ["1"]:
        answer["ids"] = [event.id for event in accepted]
    return Reply(202, msgspec.json.encode(answer), note=note(decoded.rejected))


def refuse(error: AnalyticsError, status: int) -> Reply:
    """Nothing was accepted, for one reason."""
    reason = {"code": error.code, "message": error.message}
    if error.field:
        reason["field"] = error.field
    body: dict[str, Any] = {"error": reason}
    if status == 400:
        body["rejected"] = []
    return Reply(status, msgspec.json.encode(body), note=error.code)


def refuse_all(decoded: Decoded) -> Reply:
    """Nothing was accepted, because no event was valid."""
    message = f"no event is valid; the first: {decoded.rejected[0].message}"
    error = {"code": "no_valid_event", "message": message}
    body = msgspec.json.encode({"error": error, **decoded.verdicts})
    return Reply(400, body, note=note(decoded.rejected))


NATIVE = Protocol("native", {"/collect": ("POST",)}, read, accept, refuse)
