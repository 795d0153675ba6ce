"""PostHog: events as its libraries send them, capture v0 and v1, and the stubs that keep flags and
configuration quiet.

The table of what becomes what stands in docs/sdks/posthog.md.
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import msgspec

from analytics.errors import AnalyticsError, BadRequest
from analytics.events import Event
from analytics.protocols import bodies, metadata, universal
from analytics.protocols.clock import instant, timestamp
from analytics.protocols.protocol import Decoded, Draft, Fault, Incoming, Protocol, Reply
from analytics.protocols.translate import (
    Judge,
    Names,
    Told,
    item,
    joined,
    moment,
    renamed,
    rest,
    without,
)

_KINDS = {
    "$pageview": ("page", "view"), "$screen": ("screen", "view"), "$identify": ("identify", "identify"), "$set": ("identify", "set"),
    "$create_alias": ("alias", "alias"), "$merge_dangerously": ("alias", "merge"), "$groupidentify": ("group", "group"),
}  # fmt: skip
"""Their events that mean what others have too → type and action; all others are tracks of their
name.
"""

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
    "$current_url": "$url", "$pathname": "$path", "$raw_user_agent": "$user_agent", "$browser_language": "$language", "$screen_name": "$screen_name",
    "$anon_distinct_id": "$anon_distinct_id", "$group_key": "$group_id",
    **{f"utm_{name}": f"$utm_{name}" for name in ("source", "medium", "campaign", "term", "content")},
}  # fmt: skip
_OWN = ("distinct_id", "$session_id")


class Batch(NamedTuple):
    """What all events of a request have in common."""

    key: str | None
    each: bool
    """Whether the key stood in the first event, so that the others have to agree."""
    sent: Any
    context: dict[str, Any]


def read(incoming: Incoming) -> Draft:
    """An object, a list, or an object with `batch`; also base64, in a form, in the query. The key
    is the body's, else the first event's.
    """
    body = bodies.data(incoming)
    envelope = bodies.mapping(body)
    items = bodies.batch(envelope.get("batch", body))
    query = bodies.fields(incoming.query)
    sent_at = envelope.get("sent_at") or query.get("_")
    whole = (
        _text(envelope, "api_key", "token", "$token")
        or query.get("api_key")
        or query.get("token")
        or incoming.key
    )
    key = whole or _key(items[0])
    batch = Batch(
        key,
        whole is None,
        sent_at or incoming.received,
        {"$historical_migration": envelope.get("historical_migration") or None},
    )
    return Draft(key, partial(Judge(incoming, key, sent_at).decide, items, partial(tell, batch)))


def read_v1(incoming: Incoming) -> Draft:
    """Capture v1: a batch, its key a bearer's token, its library and its time of sending in
    headers.
    """
    body = bodies.mapping(bodies.json(incoming.body))
    if "batch" not in body:
        raise BadRequest("the body must be an object with `batch`", code="missing", field="batch")
    sent_at = incoming.headers.get(b"posthog-request-timestamp", b"").decode("latin-1") or body.get(
        "created_at"
    )
    library, _, version = (
        incoming.headers.get(b"posthog-sdk-info", b"").decode("latin-1").partition("/")
    )
    common = {
        "$historical_migration": body.get("historical_migration") or None,
        "$lib": library,
        "$lib_version": version,
    }
    batch = Batch(incoming.key, False, sent_at, common)
    return Draft(
        incoming.key,
        partial(
            Judge(incoming, incoming.key, sent_at).decide,
            bodies.batch(body["batch"]),
            partial(tell, batch),
        ),
    )


def _text(source: dict[str, Any], *names: str) -> str | None:
    return next(
        (source[name] for name in names if isinstance(source.get(name), str) and source[name]), None
    )


def _key(event: Any) -> str | None:
    """The key that an event carries itself; under a key for all, a property named token is nothing
    but a property.
    """
    event = bodies.mapping(event)
    return _text(event, "api_key", "token", "$token") or _text(
        bodies.mapping(event.get("properties")), "token", "api_key"
    )


def tell(batch: Batch, value: Any) -> Told:
    """One event of a request."""
    event = item(value)
    given = event.get("properties")
    properties = {
        name: value
        for name, value in bodies.mapping(given).items()
        if name not in ("token", "api_key") or value != batch.key
    }
    name, alias = event.get("event"), properties.get("alias")
    kind, action = _KINDS.get(name, ("track", name)) if isinstance(name, str) else ("track", name)
    person = next(
        (
            who
            for who in (
                event.get("distinct_id"),
                event.get("$distinct_id"),
                properties.get("distinct_id"),
            )
            if who is not None
        ),
        None,
    )
    context = renamed(properties, _CONTEXT)
    if action == "alias":
        previous, person = properties.get("distinct_id", person), alias
    else:
        previous = alias if action == "merge" else None
    return Told(
        type=kind,
        action=context.pop("$screen_name", action) if kind == "screen" else action,
        user=person,
        anonymous=context.pop("$anon_distinct_id", None) if kind == "identify" else None,
        session=event.get("session_id") or properties.get("$session_id"),
        id=event.get("uuid"),
        properties=without(properties, (*_CONTEXT, *_OWN, *(("alias",) if kind == "alias" else ())))
        if isinstance(given, dict)
        else given,
        context=joined(
            rest(event, _USED),
            {
                **batch.context,
                **context,
                "$previous_id": previous,
                "$options": event.get("options"),
            },
        ),
        time=_time(event, batch.sent),
        key=_key(event) if batch.each else None,
    )


def _time(event: dict[str, Any], sent: Any) -> Any:
    """Old libraries say how many milliseconds before the sending it was."""
    offset = event.get("offset")
    if event.get("timestamp") is not None or not isinstance(offset, int | Decimal):
        return event.get("timestamp")
    try:
        return instant(timestamp(moment(sent))) - timedelta(milliseconds=float(offset))
    except (Fault, ArithmeticError):
        return None


def accept_v1(incoming: Incoming, decoded: Decoded, _: Sequence[Event]) -> Reply:
    """What became of each event by its uuid; none is worth sending again."""
    problems = {rejection.index: rejection for rejection in decoded.rejected}
    results = {}
    for index, event in enumerate(bodies.batch(bodies.json(incoming.body)["batch"])):
        name = bodies.mapping(event).get("uuid")
        if isinstance(name, str) and not metadata.unfit(name):
            problem = problems.get(index)
            results[name] = {
                "result": "drop" if problem else "ok",
                "details": problem.message if problem else None,
            }
    return Reply(
        200, msgspec.json.encode({"results": results}), note=universal.note(decoded.rejected)
    )


def refuse_v1(error: AnalyticsError, status: int) -> Reply:
    """For these libraries 429 is the end, so who sends too fast hears 503."""
    return universal.refuse(error, 503 if status == 429 else status)


def _slashed(*paths: str) -> list[str]:
    return [path + slash for path in paths for slash in ("", "/")]


_FLAGS = Reply(
    200,
    b'{"flags":{},"featureFlags":{},"featureFlagPayloads":{},"errorsWhileComputingFlags":false}',
)

POSTHOG = Protocol(
    "posthog",
    dict.fromkeys(
        _slashed("/batch", "/e", "/i/v0/e", "/capture", "/track", "/engage"), ("GET", "POST")
    ),
    read,
    universal.accept,
    universal.refuse,
    foreign=True,
    stubs={
        **dict.fromkeys(_slashed("/flags", "/decide"), _FLAGS),
        **dict.fromkeys(_slashed("/s"), Reply(200, b'{"status":1}')),
        "/array/{token}/config": Reply(
            200, b'{"supportedCompression":["gzip-js"],"hasFeatureFlags":false}'
        ),
    },
)

POSTHOG_V1 = Protocol(
    "posthog_v1",
    dict.fromkeys(_slashed("/i/v1/analytics/events", "/i/v1/general/events"), ("POST",)),
    read_v1,
    accept_v1,
    refuse_v1,
    foreign=True,
)
