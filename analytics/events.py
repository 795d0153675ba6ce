"""The shapes that all parts share: an event on its way, a job that carries many, and what became of
them.
"""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

DEFAULT_PROJECT = "default"

ID_NAMESPACE = UUID("8f0ff4a5-6ad7-5f5c-9c0e-5d7a4c1b2e90")
"""Ids that are no UUID become UUIDv5 in this namespace; fixed for ever, stated in
docs/guarantee.md.
"""

UNTOLD = "$"
"""A session_id that begins so is none: the sender tells no session, so that questions make them, of
what a person does between silences.
"""

NO_SESSION = "$none"
"""Where somebody is named, but no session."""

NOBODY = "$nobody"
"""Where neither is, so that it is the actor too; the pipeline may know better."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Whether a client's id stands for itself: a hyphenated UUID in any case."""
    return _UUID.fullmatch(text) is not None


def event_id(text: str) -> UUID:
    """The stored id of a client's id: a hyphenated UUID in any case stands for itself, any other
    string maps to UUIDv5.
    """
    return UUID(text) if is_uuid(text) else uuid.uuid5(ID_NAMESPACE, text)


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event on its way from the collector to the store; its order of fields is the queue's wire
    format, so append only.
    """

    project: str
    id: UUID
    session_id: str
    user_id: str | None
    event_type: str
    event_action: str
    metadata: bytes
    """A JSON object as text, checked: valid UTF-8, depth at most 32, no NUL, no lone surrogate,
    every number finite.
    """
    timestamp: datetime
    """When it happened, in UTC, corrected for the client's clock."""
    created_at: datetime
    """When the collector received it, in UTC."""
    named: bool = False
    """Whether the client supplied the id, so that the ledger must remember it."""

    @property
    def actor(self) -> str:
        """Who acted: the user where one is known, else the session."""
        return self.session_id if self.user_id is None else self.user_id


class Job(msgspec.Struct, frozen=True):
    """What one queue entry carries: the events of one group commit, stored together or not at all."""

    id: str
    events: Sequence[Event]
    replays: Sequence[int] = ()
    """Numbers of the dead letters that this job tries again; they go when it is stored."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of one job's events; the three add up to the job's events."""

    stored: int = 0
    duplicate: int = 0
    dead_lettered: int = 0


class Books(msgspec.Struct, frozen=True):
    """The account of all events ever taken in: accepted = stored + duplicate + dead_lettered +
    queued.
    """

    accepted: int = 0
    stored: int = 0
    duplicate: int = 0
    dead_lettered: int = 0
    queued: int = 0

    @property
    def balanced(self) -> bool:
        return self.accepted == self.stored + self.duplicate + self.dead_lettered + self.queued


_packer = msgspec.msgpack.Encoder(uuid_format="bytes")
_unpacker = msgspec.msgpack.Decoder(list[Event])


def pack(events: Sequence[Event]) -> bytes:
    """Events → msgpack, as the queue carries them."""
    return _packer.encode(events)


def unpack(data: bytes) -> list[Event]:
    """The inverse of `pack`; raises msgspec.DecodeError (ValidationError included) on anything
    else.
    """
    return _unpacker.decode(data)


def public(event: Event) -> dict[str, Any]:
    """An event as the api and realtime show it, ready for msgspec's JSON encoder (metadata rides
    along undecoded).
    """
    return {
        "id": event.id,
        "project": event.project,
        "session_id": event.session_id,
        "user_id": event.user_id,
        "event_type": event.event_type,
        "event_action": event.event_action,
        "metadata": msgspec.Raw(event.metadata),
        "timestamp": event.timestamp,
        "created_at": event.created_at,
    }
