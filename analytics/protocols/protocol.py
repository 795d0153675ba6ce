"""What a protocol is: how bytes become events, and what it replies to the sender's library."""

import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from analytics.errors import AnalyticsError, BadRequest, TooLarge
from analytics.events import Event
from analytics.settings import Settings

MAX_REQUEST_EVENTS = 50_000
"""Events in a request: each takes work, however few bytes it has."""

MAX_EVENT_BYTES = Settings().max_event_bytes
"""Bytes of metadata that an event may have, unless the setting says otherwise."""

MAX_VALUES = 500_000
"""Values, names, objects and lists in a request. Decoded, each takes up to 130 bytes; sent, two."""

MAX_NAMED = 100
"""Rejected events that a reply names."""

MAX_INDICES = 2_000
"""Events that a list names which a library reads: as many as libraries send at once."""

MAX_REQUEST_KEYS = 100
"""Different keys in a request: each of them is looked up."""


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """One request, its body decompressed. Header names are in lower case."""

    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    received: datetime
    """When the request came, in UTC: one reading of the clock for all its events."""
    retention_days: int = 0
    path: str = ""
    max_event_bytes: int = MAX_EVENT_BYTES

    @property
    def key(self) -> str | None:
        """The key that the headers carry: X-Write-Key, else Authorization: Bearer."""
        if (key := self.headers.get(b"x-write-key")) is not None:
            return key.decode("latin-1")
        scheme, _, token = self.headers.get(b"authorization", b"").partition(b" ")
        return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None

    @property
    def username(self) -> str | None:
        """The name in Authorization: Basic, where several products put their key."""
        scheme, _, token = self.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"basic":
            return None
        try:
            return binascii.a2b_base64(token).partition(b":")[0].decode() or None
        except ValueError:
            return None


class EventError(Exception):
    """What is wrong with one event.

    `code` is for programs, `message` for people. `field` is where; None means the whole event.
    """

    def __init__(self, code: str, field: str | None, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.message = message


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Why one event was not accepted; `index` is its place in the request, from 0."""

    index: int
    code: str
    field: str | None
    message: str


class Decoded(msgspec.Struct, frozen=True):
    """A request's valid events in order, and a rejection for each of the others."""

    events: list[Event]
    rejected: Sequence[Rejection] = ()
    mended: Mapping[str, int] = {}
    """What was mended, such as `bad_character` → in how many events it was the first fault."""
    dropped: Mapping[str, int] = {}
    """Why valid events were dropped after decoding → how many."""

    @property
    def verdicts(self) -> dict[str, Any]:
        """What a reply says of events that were not accepted; nothing where all were.

        The first MAX_NAMED rejections are named, so that a reply is never much larger than its
        request.
        """
        said: dict[str, Any] = {}
        if self.rejected:
            said["rejected"] = self.rejected[:MAX_NAMED]
            said["rejected_total"] = len(self.rejected)
        if self.dropped:
            said["dropped"] = self.dropped
        return said

    @property
    def note(self) -> str:
        """What was mended, for the header X-Analytics."""
        return "; ".join(f"{events} mended: {fault}" for fault, events in self.mended.items())


Projects = Mapping[str | None, str | AnalyticsError]
"""Key → the project of its events, or why they are refused."""


def project_of(projects: Projects, key: str | None) -> str:
    """The project of a key. Raises EventError when the key is refused."""
    project = projects[key]
    if isinstance(project, AnalyticsError):
        raise EventError(project.code, None, project.message)
    return project


class Draft(msgspec.Struct, frozen=True):
    """A request, parsed as far as possible before its projects are known."""

    keys: Sequence[str | None]
    """Each key of its events once; None stands for events without one."""
    events: int
    """How many events it has, valid or not."""
    decode: Callable[[Projects], Decoded]
    """The request's events. A refused key costs only the events that have it."""
    shared_bytes: int = 0
    """What the request says once of all events, as often as they have it."""
    coded_bytes: int = 0
    """Base64 in the body's JSON, not decoded yet."""

    @classmethod
    def of_one_key(cls, key: str | None, events: int, decode: Callable[[str], Decoded]) -> "Draft":
        """A draft all of whose events have one key; `decode` takes its project."""
        return cls((key,), events, lambda projects: decode(project_of(projects, key)))


class Reply(msgspec.Struct, frozen=True):
    """A response, ready to be sent."""

    status: int
    body: bytes
    media_type: bytes = b"application/json"
    note: str = ""
    """Why something was refused, in a few words, for the header X-Analytics."""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Headers that the protocol's libraries look at; names in lower case."""


class Protocol(msgspec.Struct, frozen=True):
    """What one family of client libraries sends and expects."""

    name: str
    """Its label in metrics."""
    routes: Mapping[str, Sequence[str]]
    """Path → methods."""
    read: Callable[[Incoming], Draft]
    """Parses a request. Raises BadRequest when nothing in it is usable, TooLarge for too much."""
    accept: Callable[[Incoming, Decoded, Sequence[Event]], Reply]
    """Request, its events, those that are durable in the queue now → the reply.

    Called once the events are durable in the queue, and also when no event was valid.
    """
    refuse: Callable[[AnalyticsError, int], Reply]
    """Error and status → the reply when nothing was accepted."""
    claims: Callable[[Incoming], bool] = lambda _: True
    """Whether a request is this protocol's; asked only on a path shared with an earlier one."""
    foreign: bool = False
    """Whether its libraries send another product's tokens.

    An unknown token counts as no key then.
    """
    relayed: bool = False
    """Whether libraries on servers put their visitor's user agent and IP address into headers."""
    stubs: Mapping[str, Reply | Callable[[Mapping[str, str]], Reply]] = {}
    """Path → the fixed reply to what libraries ask besides sending events.

    A function makes the reply from the path's parameters.
    """


def bound_values(count: int) -> None:
    """Raises TooLarge for more values than a request may have."""
    if count > MAX_VALUES:
        raise TooLarge(f"a request may hold {MAX_VALUES} values, this one has about {count}")


def bound_count(events: int) -> None:
    """Raises TooLarge for more events than a request may have."""
    if events > MAX_REQUEST_EVENTS:
        raise TooLarge(f"a request may hold {MAX_REQUEST_EVENTS} events, this one has {events}")


def empty_batch() -> BadRequest:
    """The error for a request without events."""
    return BadRequest("the batch is empty", code="empty_batch")
