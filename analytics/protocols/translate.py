"""Events of other products' libraries, translated to our fields and then checked as our own are.

Common to all protocols:

- The actor is the user, else the anonymous id.
- The session is the sender's own, else NO_SESSION; NO_ACTOR where there is no actor either.
- A session that is a number gets a prefix, because it is unique only for one actor.
- What has no field of its own goes into metadata under a name with `$`, so that nothing is lost.

docs/sdks/README.md lists these names.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
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
    bound_bytes,
    event_id,
    is_uuid,
)
from analytics.protocols import metadata, validate
from analytics.protocols.characters import BAD, mended, unfit
from analytics.protocols.clock import Clock, timestamp
from analytics.protocols.fields import joined, text
from analytics.protocols.ids import id_of, joint_id, own_id, uuid7s
from analytics.protocols.numbers import BAD_NUMBER
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
from analytics.protocols.times import moment
from analytics.protocols.validate import LIMITS

_MENDABLE = (BAD, "wrong_type", "too_long")
"""Codes of bad characters, and of numbers that cannot be stored."""


class Translation(msgspec.Struct, kw_only=True):
    """One event in our fields, with the sender's values, not yet checked.

    An id that names nobody, by `id_of`, counts as null.
    """

    type: Any
    action: Any
    user: Any = None
    anonymous: Any = None
    previous: Any = None
    """An earlier id of the same person."""
    session: Any = None
    id: Any = None
    """The sender's own id of the event; one that is none, by `own_id`, counts as null."""
    together: Sequence[Any] = ()
    """Values that make an event one event together with its id; none: the id does alone."""
    former: str | None = None
    """The id that the release before made of the same, if it made another."""
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
"""One item that `metadata.parse` read → its translation. Raises EventError when it is no event."""


KeyOf = Callable[[Any], str | None]
"""One item → the key of its event."""


class Translator:
    """Decodes one request's items, with the clock of that request."""

    def __init__(self, incoming: Incoming, sent_at: Any = None) -> None:
        self.incoming = incoming
        self._sent_at = sent_at
        self._clocks: dict[str | None, Clock] = {}

    def draft(
        self, items: Sequence[Any], translate: Translate, key_of: KeyOf, shared: Any = None
    ) -> Draft:
        """Items, each with its key; `shared` is what the request says once of all of them.

        Raises TooLarge for too many different keys, and where the items would have too much of
        what is shared.
        """
        shared_bytes = 0
        if shared and len(items) > 1:
            shared_bytes = metadata.size_of(shared) * len(items)
            bound_bytes(shared_bytes)
        keys = [key_of(item) for item in items]
        different = tuple(dict.fromkeys(keys))
        if len(different) > MAX_REQUEST_KEYS:
            raise TooLarge(f"a request may hold {MAX_REQUEST_KEYS} different keys")
        decode = partial(self._decode, items, keys, translate)
        return Draft(different, len(items), decode, shared_bytes)

    def _decode(
        self,
        items: Sequence[Any],
        keys: Sequence[str | None],
        translate: Translate,
        projects: Projects,
    ) -> Decoded:
        """Items → events, and a rejection for each item that is not a valid event.

        Raises TooLarge for too much metadata.
        """
        events, rejected, mends, size_bytes = [], [], Counter[str](), 0
        ids = iter(uuid7s(len(items), self.incoming.received))
        for index, (item, key) in enumerate(zip(items, keys, strict=True)):
            try:
                project = project_of(projects, key)
                event, fault = self._event(translate(item), project, next(ids))
            except EventError as error:
                rejected.append(Rejection(index, error.code, error.field, error.message))
            else:
                events.append(event)
                if fault:
                    mends[fault] += 1
                size_bytes += len(event.metadata)
                bound_bytes(size_bytes)
        return Decoded(events, rejected, mends)

    def _event(
        self, translation: Translation, project: str, new_id: UUID
    ) -> tuple[Event, str | None]:
        """One event, and what was mended of it. Raises EventError when it is not valid."""
        clock, most = self._clock(translation), self.incoming.max_event_bytes
        own, fault = own_id(translation.id), None
        fields = _fields(translation, own, clock)
        try:
            event = validate.event(fields, clock, most, project, new_id)
        except EventError as error:
            if error.code not in _MENDABLE:
                raise
            event = validate.event(_mended(fields), clock, most, project, new_id)
            fault = BAD if error.code == BAD else BAD_NUMBER
        return _identified(event, own, translation), fault

    def _clock(self, translation: Translation) -> Clock:
        """The clock for an event's own `sent_at`, else for the request's.

        A `sent_at` that cannot be read corrects nothing: the library could not mend it.
        """
        sent_at = self._sent_at if translation.sent_at is None else translation.sent_at
        if translation.historical:
            sent_at = None
        # by text: a sender can choose numbers whose hashes are all equal, but no such texts
        name = str(sent_at) if isinstance(sent_at, str | int | Decimal | datetime) else None
        if name not in self._clocks:
            received, retention_days = self.incoming.received, self.incoming.retention_days
            try:
                sent = None if name is None else timestamp(moment(sent_at), "sent_at")
                clock = Clock(received, retention_days, sent)
            except EventError:
                clock = Clock(received, retention_days)
            self._clocks[name] = clock
        return self._clocks[name]


def _fields(translation: Translation, own: str | None, clock: Clock) -> dict[str, Any]:
    """The event as a body of our own protocol would have it; `own` is its sender's id."""
    user, anonymous = id_of(translation.user), id_of(translation.anonymous)
    session, previous = id_of(translation.session), id_of(translation.previous)
    if session is not None and not isinstance(translation.session, str):
        session = f"{anonymous or user or NO_ACTOR}:{session}"
    context = dict(translation.context)
    if user is not None and anonymous is not None and user != anonymous:
        context["$anonymous_id"] = anonymous
    if previous is not None:
        context["$previous_id"] = previous
    if session is not None and (
        len(session) > LIMITS["session_id"] or session.startswith(DERIVED_SESSION_PREFIX)
    ):
        context["$session_id"] = session
        session = hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()
    if own is not None and (translation.together or not is_uuid(own)):
        context.setdefault(OWN_ID, own)
    if clock.skew is not None and translation.time is not None:
        context["$timestamp"] = translation.time
    return {
        "session_id": session or (NO_ACTOR if user is None and anonymous is None else NO_SESSION),
        "event_type": text(translation.type),
        "event_action": text(translation.action),
        "user_id": anonymous if user is None else user,
        "id": own,
        "timestamp": moment(translation.time),
        "metadata": joined(translation.properties, context),
    }


def _mended(fields: dict[str, Any]) -> dict[str, Any]:
    """An event's fields with text in place of characters and numbers that cannot be stored."""
    whole: dict[str, Any] = mended(fields, metadata.MAX_DEPTH + 1)
    return whole


def _identified(event: Event, own: str | None, translation: Translation) -> Event:
    """The event under an id made of all that makes it one event; `own` is its sender's id.

    The release before stored it by its own id alone, where not by the translation's `former`. Own
    ids that only mending made equal stay two.
    """
    if own is None:
        return event
    if translation.former is not None:
        return msgspec.structs.replace(event, former=event_id(translation.former))
    if not (translation.together or unfit(own)):
        return event
    id_, former = joint_id(own, *translation.together), None if unfit(own) else event.id
    return msgspec.structs.replace(event, id=id_, former=former)
