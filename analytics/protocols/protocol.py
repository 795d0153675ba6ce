"""What a protocol is: how bytes become events, and what the sender's library must hear back. No
I/O.
"""

import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from analytics.errors import AnalyticsError, BadRequest, TooLarge
from analytics.events import Event

MAX_EVENTS = 200_000
"""Events a request. No honest body reaches it: the smallest event has 53 bytes, and a body at most
10 MiB.
"""

MAX_CONTAINERS = 600_000
"""Objects and lists in a body, so that undecoded 10 MiB never become a gigabyte; events of the
smallest size need 400,000.
"""


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """One request, its body read and inflated; names of headers are in lower case."""

    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    received: datetime
    """The one reading of the clock that the whole request shares, in UTC."""
    retention_days: int = 0
    path: str = ""

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


class Fault(Exception):
    """What is wrong with one event: `code` for programs, `field` where it is (None is the event
    itself), a message for people.
    """

    def __init__(self, code: str, field: str | None, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.message = message


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """The verdict on one event that cannot be taken; `index` is its place in the batch."""

    index: int
    code: str
    field: str | None
    message: str


class Decoded(msgspec.Struct, frozen=True):
    """What a request holds: the valid events in order, and a verdict for each of the others."""

    events: list[Event]
    rejected: Sequence[Rejection] = ()


class Draft(msgspec.Struct, frozen=True):
    """A request understood as far as can be before its key is known."""

    key: str | None
    decide: Callable[[str], Decoded]
    """Project → its events."""


class Reply(msgspec.Struct, frozen=True):
    """An answer, ready to be sent."""

    status: int
    body: bytes
    media_type: bytes = b"application/json"
    note: str = ""
    """Why something was refused, in ASCII, for the header X-Analytics."""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """What else one protocol's libraries look at; names in lower case."""


class Protocol(msgspec.Struct, frozen=True):
    """What one family of client libraries speaks."""

    name: str
    """Its metric label."""
    routes: Mapping[str, Sequence[str]]
    """Path → methods."""
    read: Callable[[Incoming], Draft]
    """Understand a request. Raises BadRequest when nothing in it can be judged, TooLarge when there
    is too much.
    """
    accept: Callable[[Incoming, Decoded, Sequence[Event]], Reply]
    """The answer once the events that the pipeline let through are durable; also when none of the
    request's was valid.
    """
    refuse: Callable[[AnalyticsError, int], Reply]
    """The answer, with this status, when nothing was accepted."""
    claims: Callable[[Incoming], bool] = lambda _: True
    """Whether a request is its own, asked only on a path that a protocol listed before it has too,
    to whom it falls when nobody claims it.
    """
    foreign: bool = False
    """Whether its libraries carry another product's tokens: one that nobody has registered counts
    as no key, and pages may send with credentials.
    """
    relayed: bool = False
    """Whether its libraries on servers put their visitor's user agent and address into the headers,
    as a browser would.
    """
    stubs: Mapping[str, Reply | Callable[[Mapping[str, str]], Reply]] = {}
    """Path → what its libraries always hear there, for what they ask besides sending events; from
    the path's parameters, where it depends on them.
    """


def bound_containers(text: bytes) -> None:
    """Raises TooLarge for a text with more objects and lists than a request may hold."""
    if text.count(b"{") + text.count(b"[") > MAX_CONTAINERS:
        raise TooLarge(f"a request may hold {MAX_CONTAINERS} objects and lists")


def empty_batch() -> BadRequest:
    return BadRequest("the batch is empty", code="empty_batch")
