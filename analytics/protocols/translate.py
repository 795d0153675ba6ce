"""An event of another protocol told in our words, and then judged as carefully as one of our own.

What all of them share: who acted is the user, else the anonymous id; the session is the protocol's
own, else NO_SESSION, or NO_ACTOR where nobody acted. A session that is a number is one only together
with whose it is. Whatever has no place of its own goes into metadata under a name that begins with
`$`, so that nothing is lost; docs/sdks/README.md lists these names.
"""

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from analytics.events import DERIVED_SESSION_PREFIX, NO_ACTOR, NO_SESSION, is_uuid
from analytics.protocols import metadata, validate
from analytics.protocols.clock import EPOCH, Clock, timestamp
from analytics.protocols.ids import uuid7s
from analytics.protocols.protocol import Decoded, Fault, Incoming, Rejection
from analytics.protocols.validate import LIMITS

LONG = 30
"""Characters that no number has which is a time."""

Names = Mapping[str, str]
"""A protocol's name of something → the name that it has in metadata."""


class Told(msgspec.Struct, kw_only=True):
    """One event in our words, whatever types its sender gave them."""

    type: Any
    action: Any
    user: Any = None
    anonymous: Any = None
    session: Any = None
    id: Any = None
    properties: Any = None
    """What the sender says of the event; becomes the metadata."""
    context: dict[str, Any] = {}
    """What else there is, by `$` names."""
    time: Any = None
    sent_at: Any = None
    """When it was sent, by the clock that `time` was read from; None is what the whole request
    says.
    """
    key: str | None = None
    """The key that stands in the event itself; a request has one."""


Teller = Callable[[Any], Told]
"""One item as `metadata.parse` read it → the event told; raises Fault when it is none."""


class Judge:
    """Items → events and verdicts, for one request."""

    def __init__(self, incoming: Incoming, key: str | None = None, sent_at: Any = None) -> None:
        self.incoming = incoming
        self.key = key
        self._sent_at = sent_at
        self._clocks: dict[Any, Clock] = {}

    def decide(self, items: Sequence[Any], tell: Teller, project: str) -> Decoded:
        events, rejected = [], []
        fresh = iter(uuid7s(len(items), self.incoming.received))
        for index, item in enumerate(items):
            try:
                told = tell(item)
                if told.key is not None and told.key != self.key:
                    raise Fault(
                        "other_key",
                        None,
                        "all events of a request must have the same key; this one differs from "
                        "the first",
                    )
                clock = self._clock(self._sent_at if told.sent_at is None else told.sent_at)
                events.append(validate.event(_fields(told, clock), clock, project, next(fresh)))
            except Fault as fault:
                rejected.append(Rejection(index, fault.code, fault.field, fault.message))
        return Decoded(events, rejected)

    def _clock(self, sent_at: Any) -> Clock:
        """A time of sending that cannot be read corrects nothing: a library could not mend it."""
        name = sent_at if isinstance(sent_at, str | int | float | Decimal | datetime) else None
        if name not in self._clocks:
            try:
                clock = Clock(
                    self.incoming.received,
                    self.incoming.retention_days,
                    None if name is None else timestamp(moment(name), "sent_at"),
                )
            except Fault:
                clock = Clock(self.incoming.received, self.incoming.retention_days)
            self._clocks[name] = clock
        return self._clocks[name]


def _fields(told: Told, clock: Clock) -> dict[str, Any]:
    """The event as our own protocol has it."""
    user, anonymous, session, name = (
        text(told.user),
        text(told.anonymous),
        text(told.session),
        text(told.id),
    )
    if isinstance(session, str) and not isinstance(told.session, str):
        session = f"{anonymous or user or NO_ACTOR}:{session}"
    context = dict(told.context)
    if user is not None and anonymous is not None and user != anonymous:
        context["$anonymous_id"] = anonymous
    if isinstance(session, str) and (
        len(session) > LIMITS["session_id"] or session.startswith(DERIVED_SESSION_PREFIX)
    ):
        context["$session_id"] = session
        session = hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()
    if isinstance(name, str) and not is_uuid(name):
        context.setdefault("$id", name)
    if clock.skew is not None and told.time is not None:
        context["$timestamp"] = told.time
    return {
        "session_id": session or (NO_ACTOR if user is None and anonymous is None else NO_SESSION),
        "event_type": text(told.type),
        "event_action": text(told.action),
        "user_id": anonymous if user is None else user,
        "id": name,
        "timestamp": moment(told.time),
        "metadata": joined(told.properties, context),
    }


def text(value: Any) -> Any:
    """A number as the text that it stands for, nothing for an empty text; what is neither is left
    to the judge.
    """
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return metadata.encode(value).decode()
    return None if value == "" else value


def moment(value: Any) -> Any:
    """A time without an offset is in UTC, for several libraries leave it out; a fraction of a
    millisecond is cut.
    """
    if isinstance(value, Decimal):
        return int(value)
    if not isinstance(value, str):
        return value
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < LONG:
        return int(value)
    if len(value) < 19 or value[-1:] in "zZ" or "+" in value[10:] or "-" in value[10:]:
        return value or None
    return f"{value[:10]}T{value[11:]}Z"


def since_epoch(value: Any, per_second: int) -> Any:
    """A number of such units since 1970, also as text → the moment. What is none is left to the
    judge.
    """
    try:
        if isinstance(value, str) and len(value) > LONG:
            return value
        return EPOCH + timedelta(microseconds=int(Decimal(value) * 1_000_000 / per_second))
    except (ArithmeticError, ValueError, TypeError):
        return value


def joined(properties: Any, context: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata: properties and context side by side. What would be hidden stands under
    `$properties`.
    """
    given = {name: value for name, value in context.items() if value not in (None, "", {}, [])}
    if properties is None:
        return given
    if not isinstance(properties, dict):
        return given | {"$properties": properties}
    hidden = {
        name: properties[name]
        for name in given
        if name in properties and properties[name] != given[name]
    }
    return {**properties, **given, **({"$properties": hidden} if hidden else {})}


def renamed(source: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """What `source` has of `names`, by its name in metadata."""
    return {name: source[given] for given, name in names.items() if given in source}


def rest(source: Mapping[str, Any], used: Container[str | None]) -> dict[str, Any]:
    """What `source` has besides, each under its own name behind a `$`."""
    return {
        name if name.startswith("$") else f"${name}": value
        for name, value in source.items()
        if name not in used
    }


def without(source: Mapping[str, Any], used: Container[str]) -> dict[str, Any]:
    """A copy that lacks what has found another place."""
    return {name: value for name, value in source.items() if name not in used}


def item(value: Any) -> dict[str, Any]:
    """An event must be an object. Raises Fault."""
    if not isinstance(value, dict):
        raise Fault("wrong_type", None, "an event must be an object")
    return value
