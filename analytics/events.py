"""The shapes that all parts share: an event, a job of many events, and the outcome of a job."""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from analytics.errors import TooLarge

DEFAULT_PROJECT = "default"

ID_NAMESPACE = UUID("8f0ff4a5-6ad7-5f5c-9c0e-5d7a4c1b2e90")
"""An id that is not a UUID becomes a UUIDv5 in this namespace.

The namespace never changes; docs/guarantee.md states it.
"""

DERIVED_SESSION_PREFIX = "$"
"""A session_id starting with `$` means the sender gave none.

Queries then derive sessions from 30-minute gaps.
"""

NO_SESSION = "$none"
"""The session_id of an event that names an actor but no session."""

NO_ACTOR = "$nobody"
"""The session_id of an event that names neither, so it is the actor too.

The pipeline replaces it where it can tell visitors apart.
"""

OWN_ID = "$id"
"""The key of metadata that holds the sender's own id where the stored id does not follow from it.

The collector puts it there for other products' libraries; our own events follow from theirs.
"""

MAX_REQUEST_BYTES = 20 << 20
"""Of the metadata of all events of one request: twice what its body may have."""

Name = tuple[str, bytes]
"""A project, and the bytes of the id of an event in it."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Whether a client's id is stored as it is: a hyphenated UUID, in upper or lower case."""
    return _UUID.fullmatch(text) is not None


def one_case(text: str) -> str:
    """A client's id, such that ids that are one are equal: a UUID in lower case."""
    return text.lower() if is_uuid(text) else text


def event_id(text: str) -> UUID:
    """The id stored for a client's id: a hyphenated UUID is itself, other text becomes a UUIDv5."""
    return UUID(text) if is_uuid(text) else uuid.uuid5(ID_NAMESPACE, text)


def name_of(project: str, id_: UUID) -> Name:
    """A project and the id of an event in it, to be a member of sets.

    The id is bytes, whose hashes are secret: a sender can choose UUIDs whose hashes are all equal,
    and then each look at a set of them takes as long as the set is large.
    """
    return project, id_.bytes


def bound_bytes(size: int) -> None:
    """Raises TooLarge for more metadata than the events of one request may have."""
    if size > MAX_REQUEST_BYTES:
        raise TooLarge(f"the events of a request may have {MAX_REQUEST_BYTES} bytes of metadata")


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event on its way from the collector to the store.

    The order of the fields is the queue's wire format: only ever append.
    """

    project: str
    id: UUID
    session_id: str
    user_id: str | None
    event_type: str
    event_action: str
    metadata: bytes
    """A JSON object as text, already checked.

    It is valid UTF-8, at most 32 levels deep, has no NUL and no lone surrogate, and every number is
    finite.
    """
    timestamp: datetime
    """When it happened, in UTC, corrected for the client's clock."""
    created_at: datetime
    """When the collector received it, in UTC."""
    named: bool = False
    """Whether the client supplied the id; the ledger then remembers it."""
    former: UUID | None = None
    """The id under which an earlier release stored the same event, where it made ids otherwise.

    So what was sent to that release, and is sent again to this one, is still one event.
    """

    @property
    def actor(self) -> str:
        """Who acted: the user_id, else the session_id."""
        return self.session_id if self.user_id is None else self.user_id


class _Own(msgspec.Struct, gc=False):
    id: Any = msgspec.field(name=OWN_ID, default=None)


_decode_own = msgspec.json.Decoder(_Own).decode


class IdSearch:
    """Finds the events of a project that carry an id: as it is stored, or as it was sent."""

    def __init__(self, project: str, own: str) -> None:
        self.project = project
        self.stored = event_id(own)
        cases = (own, own.lower(), own.upper()) if is_uuid(own) else (own,)
        self.owns = tuple(dict.fromkeys(cases))
        """The sender's own id as metadata may have it: a UUID was once kept in the case it had."""
        self.texts = [msgspec.json.encode({OWN_ID: one})[1:-1] for one in self.owns]
        """The same, as the collector writes it."""

    def may_hold(self, data: bytes) -> bool:
        """Whether packed events may hold one that matches."""
        return self.stored.bytes in data or any(text in data for text in self.texts)

    def matches(self, event: Event) -> bool:
        """Whether an event carries the id."""
        return event.project == self.project and (
            event.id == self.stored
            or (
                any(text in event.metadata for text in self.texts)
                and _decode_own(event.metadata).id in self.owns
            )
        )


class Job(msgspec.Struct, frozen=True):
    """One entry of the queue: the events of one group commit, stored together or not at all."""

    id: str
    events: Sequence[Event]
    replays: Sequence[int] = ()
    """Numbers of the dead letters that this job replays; storing the job deletes them."""
    size_bytes: int = 0
    """Of its body in the queue."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a job's events: three counts that add up to the events of the job."""

    stored: int = 0
    duplicate: int = 0
    dead_lettered: int = 0


class Books(msgspec.Struct, frozen=True):
    """The account of all events ever accepted.

    They balance when accepted = stored + duplicate + dead_lettered + queued.
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
    """The inverse of `pack`. Raises msgspec.DecodeError (or its ValidationError) on other bytes."""
    return _unpacker.decode(data)


def public(event: Event) -> dict[str, Any]:
    """An event as the api and realtime show it, ready for msgspec's JSON encoder.

    Metadata goes through as text, without being decoded.
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
