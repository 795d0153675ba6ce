"""What readers get: one JSON object a message, the same on every transport.

The order of the fields is the order on the wire.
"""

from typing import ClassVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from analytics.errors import AnalyticsError

MAX_ECHO = 64
"""Characters of an id that an error repeats; an id may have no more."""

MAX_TEXT = 500
"""Characters of an error's message, which may quote the reader."""

encode = msgspec.json.Encoder().encode
"""A message → its JSON."""


class Message(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    """A message to one reader."""

    kind: ClassVar[str]
    """The message's `type`, as the metrics and server-sent events need it."""

    id: str | UnsetType
    """The reader's id of the subscription; unset for what concerns the whole connection."""

    @property
    def size_bytes(self) -> int:
        """About what the message takes in memory."""
        return len(encode(self))


class EventMessage(Message, frozen=True, tag="event"):
    """An event that passed the subscription's filter."""

    kind = "event"

    event: Raw
    """Its JSON, shared by all readers who get it."""

    @property
    def size_bytes(self) -> int:
        return len(self.event)


class GapMessage(Message, frozen=True, tag="gap"):
    """So many events were not sent, because the reader was too slow or the bus was away."""

    kind = "gap"

    missed: int


class CountersMessage(Message, frozen=True, tag="counters"):
    """What was stored within the last second."""

    kind = "counters"

    events_per_second: int
    by_type: dict[str, int]
    visitors: int | None
    """Actors of the last five minutes; None while Redis does not answer."""


class SubscribedMessage(Message, frozen=True, tag="subscribed"):
    """The subscription has begun."""

    kind = "subscribed"


class ErrorMessage(Message, frozen=True, tag="error"):
    """A request failed, or a subscription or the connection ends."""

    kind = "error"

    code: str
    message: str


def failure(error: AnalyticsError, id_: str | None = None) -> ErrorMessage:
    """An error as a message, short whatever the reader sent."""
    id_of = UNSET if id_ is None else id_[:MAX_ECHO]
    return ErrorMessage(id_of, error.code, error.message[:MAX_TEXT])
