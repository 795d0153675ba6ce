"""Events of other products' libraries, translated to our fields and then checked as our own are.

Common to all protocols:

- The actor is the user, else the anonymous id.
- The session is the sender's own, else NO_SESSION; NO_ACTOR where there is no actor either.
- A session that is a number gets a prefix, because it is unique only for one actor.
- What has no field of its own goes into metadata under a name with `$`, so that nothing is lost.

docs/sdks/README.md lists these names.
"""

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from analytics.errors import TooLarge
from analytics.events import (
    DERIVED_SESSION_PREFIX,
    NO_ACTOR,
    NO_SESSION,
    OWN_ID,
    Event,
    is_uuid,
)
from analytics.protocols import metadata, numbers, validate
from analytics.protocols.characters import BAD, mended, unfit
from analytics.protocols.clock import EPOCH, Clock, timestamp
from analytics.protocols.ids import joint_id, uuid7s
from analytics.protocols.protocol import (
    MAX_REQUEST_KEYS,
    Decoded,
    Draft,
    EventError,
    Incoming,
    Projects,
    Rejection,
    project_of,
)
from analytics.protocols.validate import LIMITS

MAX_TIME_DIGITS = 30
"""A text of more digits is not a time."""

Names = Mapping[str, str]
"""A protocol's name of something → its name in metadata."""


class Translation(msgspec.Struct, kw_only=True):
    """One event in our fields, with the sender's values, not yet checked."""

    type: Any
    action: Any
    user: Any = None
    anonymous: Any = None
    session: Any = None
    id: Any = None
    """The sender's own id."""
    together: Sequence[Any] = ()
    """Values as sent that make an event one event together with its id; none: the id does alone."""
    properties: Any = None
    """What the sender says about the event; becomes the metadata."""
    context: dict[str, Any] = {}
    """Everything else, by `$` names."""
    time: Any = None
    sent_at: Any = None
    """When it was sent, by the clock that `time` was read from; None means the request's."""
    historical: bool = False
    """Whether `time` stays as it is: it was corrected before, or is of the past on purpose."""


Translate = Callable[[Any], Translation]
"""One item that `metadata.parse` read → its translation; raises Fault when it is not an event."""


KeyOf = Callable[[Any], str | None]
"""One item → the key of its event."""


class Translator:
    """Decodes one request's items, with the clock of that request."""

    def __init__(self, incoming: Incoming, sent_at: Any = None) -> None:
        self.incoming = incoming
        self._sent_at = sent_at
        self._clocks: dict[Any, Clock] = {}

    def draft(self, items: Sequence[Any], translate: Translate, key_of: KeyOf) -> Draft:
        """Items, each with its key. Raises TooLarge for too many different keys."""
        keys = [key_of(item) for item in items]
        different = tuple(dict.fromkeys(keys))
        if len(different) > MAX_REQUEST_KEYS:
            raise TooLarge(f"a request may hold {MAX_REQUEST_KEYS} different keys")
        return Draft(different, len(items), partial(self._decode, items, keys, translate))

    def _decode(
        self,
        items: Sequence[Any],
        keys: Sequence[str | None],
        translate: Translate,
        projects: Projects,
    ) -> Decoded:
        """Items → events, and a rejection for each item that is not a valid event."""
        events, rejected, mends = [], [], 0
        ids = iter(uuid7s(len(items), self.incoming.received))
        for index, (item, key) in enumerate(zip(items, keys, strict=True)):
            try:
                project = project_of(projects, key)
                event, mended_it = self._event(translate(item), project, next(ids))
            except EventError as error:
                rejected.append(Rejection(index, error.code, error.field, error.message))
            else:
                events.append(event)
                mends += mended_it
        return Decoded(events, rejected, mends)

    def _event(self, translation: Translation, project: str, new_id: UUID) -> tuple[Event, bool]:
        """One event, and whether it was mended. Raises EventError when it is not valid."""
        clock, most = self._clock(translation), self.incoming.max_event_bytes
        fields, bad = _fields(translation, clock), False
        try:
            event = validate.event(fields, clock, most, project, new_id)
        except EventError as error:
            if not (bad := error.code == BAD):
                raise
            event = validate.event(_mended(fields), clock, most, project, new_id)
        return _identified(event, translation), bad

    def _clock(self, translation: Translation) -> Clock:
        """The clock for an event's own `sent_at`, else for the request's.

        A `sent_at` that cannot be read corrects nothing: the library could not mend it.
        """
        sent_at = self._sent_at if translation.sent_at is None else translation.sent_at
        if translation.historical:
            sent_at = None
        known = isinstance(sent_at, str | int | float | Decimal | datetime)
        cache_key = sent_at if known else None
        if cache_key not in self._clocks:
            received, retention_days = self.incoming.received, self.incoming.retention_days
            try:
                sent = None if cache_key is None else timestamp(moment(cache_key), "sent_at")
                clock = Clock(received, retention_days, sent)
            except EventError:
                clock = Clock(received, retention_days)
            self._clocks[cache_key] = clock
        return self._clocks[cache_key]


def _fields(translation: Translation, clock: Clock) -> dict[str, Any]:
    """The event as a body of our own protocol would have it."""
    user, anonymous = text(translation.user), text(translation.anonymous)
    session, sent_id = text(translation.session), text(translation.id)
    if isinstance(session, str) and not isinstance(translation.session, str):
        session = f"{anonymous or user or NO_ACTOR}:{session}"
    context = dict(translation.context)
    if user is not None and anonymous is not None and user != anonymous:
        context["$anonymous_id"] = anonymous
    if isinstance(session, str) and (
        len(session) > LIMITS["session_id"] or session.startswith(DERIVED_SESSION_PREFIX)
    ):
        context["$session_id"] = session
        session = hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()
    if isinstance(sent_id, str) and (translation.together or not is_uuid(sent_id)):
        context.setdefault(OWN_ID, sent_id)
    if clock.skew is not None and translation.time is not None:
        context["$timestamp"] = translation.time
    return {
        "session_id": session or (NO_ACTOR if user is None and anonymous is None else NO_SESSION),
        "event_type": text(translation.type),
        "event_action": text(translation.action),
        "user_id": anonymous if user is None else user,
        "id": sent_id,
        "timestamp": moment(translation.time),
        "metadata": joined(translation.properties, context),
    }


def _mended(fields: dict[str, Any]) -> dict[str, Any]:
    """An event's fields with U+FFFD in place of characters that cannot be stored."""
    whole: dict[str, Any] = mended(fields, metadata.MAX_DEPTH + 1)
    return whole


def _identified(event: Event, translation: Translation) -> Event:
    """The event under an id made of all that makes it one event.

    The id that its own would be alone is the one that the release before stored. Own ids that only
    mending made equal stay two.
    """
    own = text(translation.id)
    if not event.named or not (translation.together or unfit(own)):
        return event
    id_, former = joint_id(own, *translation.together), None if unfit(own) else event.id
    return msgspec.structs.replace(event, id=id_, former=former)


def text(value: Any) -> Any:
    """A number as text, without exponent, and an empty text as None; anything else as it is."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return None if value == "" else value


def moment(value: Any) -> Any:
    """A sender's time as our protocol has it; what is not a time comes back as it is.

    A time without an offset is in UTC, because several libraries omit it. A fraction of a
    millisecond is cut off.
    """
    if isinstance(value, Decimal):
        return int(value)
    if not isinstance(value, str):
        return value
    value = value.strip()
    if value[4:5] != "-" and len(value) < MAX_TIME_DIGITS:  # a date has its hyphen there
        number = numbers.of(value)
        if isinstance(number, int | Decimal):
            return int(number)
    if len(value) < 19 or value[-1:] in "zZ" or "+" in value[10:] or "-" in value[10:]:
        return value or None
    return f"{value[:10]}T{value[11:]}Z"


def since_epoch(value: Any, per_second: int) -> Any:
    """A number of units since 1970, also as text → the moment, in UTC.

    `per_second` is how many units a second has. What is not a number comes back as it is, and
    fails the later check.
    """
    try:
        if isinstance(value, str) and len(value) > MAX_TIME_DIGITS:
            return value
        return EPOCH + timedelta(microseconds=int(Decimal(value) * 1_000_000 / per_second))
    except (ArithmeticError, ValueError, TypeError):
        return value


def joined(properties: Any, context: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata: properties and context side by side, without empty context.

    A property whose name the context also has, with another value, goes into `$properties`.
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


UTM: Names = {
    f"utm_{name}": f"$utm_{name}" for name in ("source", "medium", "campaign", "term", "content")
}
"""Campaign parameters of an address, as several libraries send them."""


def renamed(source: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """The fields of `source` that are in `names`, under their names in metadata."""
    return {name: source[given] for given, name in names.items() if given in source}


def rest(source: Mapping[str, Any], used: Container[str | None]) -> dict[str, Any]:
    """The other fields of `source`, each under its own name with a `$` before it."""
    return {
        name if name.startswith("$") else f"${name}": value
        for name, value in source.items()
        if name not in used
    }


def without(source: Mapping[str, Any], used: Container[str]) -> dict[str, Any]:
    """A copy without the fields in `used`."""
    return {name: value for name, value in source.items() if name not in used}


def kind_of(name: Any, kinds: Mapping[str, tuple[str, str]]) -> tuple[str, Any]:
    """The type and action of an event by its name; of a name that is not in `kinds`: a track."""
    return kinds.get(name, ("track", name)) if isinstance(name, str) else ("track", name)


def item(value: Any) -> dict[str, Any]:
    """An item that is an object. Raises Fault for anything else."""
    if not isinstance(value, dict):
        raise EventError("wrong_type", None, "an event must be an object")
    return value
