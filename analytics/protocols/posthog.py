"""PostHog: events as its libraries send them, by capture v0 and v1.

Stubs answer what the libraries ask about flags and configuration. docs/sdks/posthog.md maps the
fields.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec

from analytics.errors import AnalyticsError, BadRequest
from analytics.events import Event
from analytics.protocols import bodies, numbers, universal
from analytics.protocols.characters import mended
from analytics.protocols.clock import instant, timestamp
from analytics.protocols.fields import (
    UTM,
    Names,
    item,
    joined,
    kind_of,
    renamed,
    rest,
    text,
    without,
)
from analytics.protocols.ids import first_id, id_of
from analytics.protocols.protocol import (
    MAX_INDICES,
    MAX_NAMED,
    Decoded,
    Draft,
    EventError,
    Incoming,
    Protocol,
    Reply,
)
from analytics.protocols.times import moment
from analytics.protocols.translate import Translation, Translator

_KINDS = {
    "$pageview": ("page", "view"),
    "$screen": ("screen", "view"),
    "$identify": ("identify", "identify"),
    "$set": ("identify", "set"),
    "$create_alias": ("alias", "alias"),
    "$merge_dangerously": ("alias", "merge"),
    "$groupidentify": ("group", "group"),
}
"""Events that other products have too → type and action. All others become tracks."""

_USED = (
    "event",
    "distinct_id",
    "$distinct_id",
    "uuid",
    "timestamp",
    "offset",
    "properties",
    "token",
    "api_key",
    "$token",
    "sent_at",
    "session_id",
    "options",
)
_CONTEXT: Names = {
    "$current_url": "$url",
    "$pathname": "$path",
    "$raw_user_agent": "$user_agent",
    "$browser_language": "$language",
    "$screen_name": "$screen_name",
    "$anon_distinct_id": "$anon_distinct_id",
    "$group_key": "$group_id",
    **UTM,
}
_OWN = ("distinct_id", "$session_id")
"""Properties that become fields of the event."""


_UUID_CHARACTERS = 36
"""A longer `uuid` is none, and gets no result."""

_MAX_LIBRARY = 200
"""Characters of the library's name and version in a header."""


class SharedFields(NamedTuple):
    """What a request says about all its events."""

    key: str | None
    """None: each event has its key."""
    sent_at: Any
    context: dict[str, Any]


def read(incoming: Incoming) -> Draft:
    """An event, a list, or an object with `batch`; also as base64, in a form or the query string.

    The key is the request's, else each event's.
    """
    body = bodies.data(incoming)
    whole = bodies.mapping(body)
    items = bodies.batch(whole.get("batch", body))
    query = bodies.fields(incoming.query)
    sent_at = whole.get("sent_at") or query.get("_")
    key = (
        bodies.word(whole, "api_key", "token", "$token")
        or query.get("api_key")
        or query.get("token")
        or incoming.key
    )
    context = {"$historical_migration": bool(whole.get("historical_migration")) or None}
    shared = SharedFields(key, sent_at or incoming.received, context)
    return Translator(incoming, sent_at).draft(
        items, partial(translate, shared), lambda event: key or _key(event), shared.sent_at
    )


def read_v1(incoming: Incoming) -> Draft:
    """Capture v1: a batch. Headers have the key (as a bearer token), the library and `sent_at`."""
    body = bodies.mapping(bodies.json(incoming.body))
    if "batch" not in body:
        raise BadRequest("the body must be an object with `batch`", code="missing", field="batch")
    items = bodies.batch(body["batch"])
    sent_at = _header(incoming, b"posthog-request-timestamp") or body.get("created_at")
    library, _, version = _header(incoming, b"posthog-sdk-info")[:_MAX_LIBRARY].partition("/")
    context = {
        "$historical_migration": bool(body.get("historical_migration")) or None,
        "$lib": library,
        "$lib_version": version,
    }
    shared = SharedFields(incoming.key, sent_at, context)
    return Translator(incoming, sent_at).draft(
        items, partial(translate, shared), lambda event: shared.key or _key(event), sent_at
    )


def _header(incoming: Incoming, name: bytes) -> str:
    return incoming.headers.get(name, b"").decode("latin-1")


def _key(event: Any) -> str | None:
    """The key in an event itself. If the request has a key, a `token` property is a property."""
    properties = bodies.mapping(event).get("properties")
    return bodies.word(event, "api_key", "token", "$token") or bodies.word(
        properties, "token", "api_key"
    )


def translate(shared: SharedFields, value: Any) -> Translation:
    """One event of a request."""
    event = item(value)
    given, key = event.get("properties"), shared.key or _key(event)
    properties = {
        name: value
        for name, value in bodies.mapping(given).items()
        if name not in ("token", "api_key") or value != key
    }
    name, alias = event.get("event"), properties.get("alias")
    kind, action = kind_of(name, _KINDS)
    person = sender = first_id(
        event.get("distinct_id"), event.get("$distinct_id"), properties.get("distinct_id")
    )
    context = renamed(properties, _CONTEXT)
    if kind == "screen":
        action = context.pop("$screen_name", None) or action
    used = (*_CONTEXT, *_OWN, *(("alias",) if kind == "alias" else ()))
    if action == "alias":
        previous, person = first_id(properties.get("distinct_id"), person), alias
    else:
        previous = alias if action == "merge" else None
    return Translation(
        type=kind,
        action=action,
        user=person,
        anonymous=context.pop("$anon_distinct_id", None) if kind == "identify" else None,
        previous=previous,
        session=first_id(event.get("session_id"), properties.get("$session_id")),
        id=event.get("uuid"),
        together=(text(name), id_of(sender), numbers.of(event.get("timestamp"))),
        properties=without(properties, used) if isinstance(given, dict) else given,
        context=joined(
            rest(event, _USED),
            {
                **shared.context,
                **context,
                "$options": event.get("options"),
            },
        ),
        time=_time(event, shared.sent_at),
        historical=bool(shared.context["$historical_migration"]),
    )


def _time(event: dict[str, Any], sent_at: Any) -> Any:
    """The event's timestamp. Old libraries send `offset`: milliseconds before `sent_at`."""
    offset = event.get("offset")
    if event.get("timestamp") is not None or not numbers.is_number(offset):
        return event.get("timestamp")
    try:
        return instant(timestamp(moment(sent_at))) - timedelta(milliseconds=float(offset))
    except (EventError, ArithmeticError):
        return None


def accept_v1(incoming: Incoming, decoded: Decoded, accepted: Sequence[Event]) -> Reply:
    """The result of each uuid, of as many events as a library sends at once.

    `drop` if any event of it was rejected, `warning` if it was dropped. None should be sent again;
    neither will what has no result.
    """
    messages: dict[int, str | None] = {one.index: None for one in decoded.rejected}
    messages |= {one.index: one.message for one in decoded.rejected[:MAX_NAMED]}
    events, stored = iter(decoded.events), {event.id.bytes for event in accepted[:MAX_INDICES]}
    results: dict[str, dict[str, str | None]] = {}
    for index, sent in enumerate(bodies.batch(bodies.json(incoming.body)["batch"])[:MAX_INDICES]):
        uuid = bodies.mapping(sent).get("uuid")
        if index in messages:
            verdict = {"result": "drop", "details": messages[index]}
        elif next(events).id.bytes in stored:
            verdict = {"result": "ok", "details": None}
        else:
            verdict = {"result": "warning", "details": "dropped"}
        if isinstance(uuid, str) and len(uuid) <= _UUID_CHARACTERS:
            uuid = mended(uuid, 0)
            results[uuid] = verdict if index in messages else results.get(uuid, verdict)
    dropped = {"dropped": decoded.dropped} if decoded.dropped else {}
    body = msgspec.json.encode({"results": results, **dropped})
    return Reply(200, body, note=universal.note(decoded.rejected))


def refuse_v1(error: AnalyticsError, status: int) -> Reply:
    """503 in place of 429: after a 429 these libraries would not try again."""
    return universal.refuse(error, 503 if status == 429 else status)


def _slashed(*paths: str) -> list[str]:
    """Each path without and with a slash at its end."""
    return [path + slash for path in paths for slash in ("", "/")]


_FLAGS = Reply(
    200,
    b'{"flags":{},"featureFlags":{},"featureFlagPayloads":{},"errorsWhileComputingFlags":false}',
)

_CONFIG = Reply(200, b'{"supportedCompression":["gzip-js"],"hasFeatureFlags":false}')
_PATHS = _slashed("/batch", "/e", "/i/v0/e", "/capture", "/track", "/engage")
_PATHS_V1 = _slashed("/i/v1/analytics/events", "/i/v1/general/events")

POSTHOG = Protocol(
    "posthog",
    dict.fromkeys(_PATHS, ("GET", "POST")),
    read,
    universal.accept,
    universal.refuse,
    foreign=True,
    stubs={
        **dict.fromkeys(_slashed("/flags", "/decide"), _FLAGS),
        **dict.fromkeys(_slashed("/s"), Reply(200, b'{"status":1}')),
        "/array/{token}/config": _CONFIG,
    },
)

POSTHOG_V1 = Protocol(
    "posthog_v1",
    dict.fromkeys(_PATHS_V1, ("POST",)),
    read_v1,
    accept_v1,
    refuse_v1,
    foreign=True,
)
