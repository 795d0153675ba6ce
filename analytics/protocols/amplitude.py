"""Amplitude: its HTTP API v2 and its batch API. The table of what becomes what stands in
docs/sdks/amplitude.md.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from analytics.errors import AnalyticsError, Forbidden, Unauthorized
from analytics.events import Event
from analytics.protocols import bodies, universal
from analytics.protocols.protocol import Decoded, Draft, Incoming, Protocol, Reply
from analytics.protocols.translate import Judge, Names, Told, item, joined, renamed, rest, without

_KINDS = {
    "$identify": ("identify", "identify"), "$groupidentify": ("group", "group"),
    "[Amplitude] Page Viewed": ("page", "view"), "[Amplitude] Screen Viewed": ("screen", "view"),
}  # fmt: skip
"""Their events that mean what others have too → type and action; all others are tracks of their
name.
"""

_USED = (
    "event_type",
    "user_id",
    "device_id",
    "session_id",
    "insert_id",
    "time",
    "timestamp",
    "event_properties",
    "user_properties",
    "library",
    "api_key",
    "ip",
)
_FIELDS: Names = {"os_name": "$os", "location_lat": "$latitude", "location_lng": "$longitude"}
_PAGE: Names = {
    "[Amplitude] Page URL": "$url", "[Amplitude] Page Path": "$path", "[Amplitude] Page Title": "$title", "referrer": "$referrer",
    **{f"utm_{name}": f"$utm_{name}" for name in ("source", "medium", "campaign", "term", "content")},
}  # fmt: skip

_top = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read(incoming: Incoming) -> Draft:
    """An object with `api_key` and `events`."""
    body = bodies.mapping(bodies.json(incoming.body))
    key = body.get("api_key")
    key = key if isinstance(key, str) and key else incoming.key
    items = bodies.batch(body.get("events", []))
    return Draft(
        key, partial(Judge(incoming, key, body.get("client_upload_time")).decide, items, tell)
    )


def claims(incoming: Incoming) -> bool:
    """Whether a body has `events`; PostHog's has `batch`."""
    try:
        return "events" in _top(incoming.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b'"events"' in incoming.body and b'"batch"' not in incoming.body


def tell(value: Any) -> Told:
    """One event."""
    event = item(value)
    name, traits = event.get("event_type"), event.get("user_properties")
    kind, action = _KINDS.get(name, ("track", name)) if isinstance(name, str) else ("track", name)
    properties = event.get("event_properties")
    page = renamed(bodies.mapping(properties), _PAGE) if kind == "page" else {}
    if page:
        properties = without(bodies.mapping(properties), _PAGE)
    if kind == "identify":
        properties, traits = traits, properties
    library, _, version = (
        event["library"] if isinstance(event.get("library"), str) else ""
    ).partition("/")
    return Told(
        type=kind,
        action=action,
        user=event.get("user_id"),
        anonymous=event.get("device_id"),
        session=None if event.get("session_id") == -1 else event.get("session_id"),
        id=event.get("insert_id"),
        properties=properties,
        context=joined(
            rest(event, (*_USED, *_FIELDS)),
            {
                **renamed(event, _FIELDS), **page, "$lib": library, "$lib_version": version, "$ip": None if event.get("ip") == "$remote" else event.get("ip"),
                "$event_properties" if kind == "identify" else "$user_properties": traits,
            },
        ),
        time=event.get("timestamp") if event.get("time") is None else event["time"],
    )  # fmt: skip


def accept(incoming: Incoming, decoded: Decoded, taken: Sequence[Event]) -> Reply:
    """How many; or which events are to be dropped for which field, without which the library would
    send them again.
    """
    if decoded.events:
        received = int(incoming.received.timestamp() * 1000)
        more = {
            "events_ingested": len(taken),
            "payload_size_bytes": len(incoming.body),
            "server_upload_time": received,
        }
        return universal.success(more, decoded.rejected)
    fields: dict[str, list[int]] = {}
    for rejection in decoded.rejected:
        fields.setdefault(rejection.field or "event", []).append(rejection.index)
    return universal.refuse_all(decoded.rejected, {"events_with_invalid_fields": fields})


def refuse(error: AnalyticsError, status: int) -> Reply:
    """What the library cannot mend is a 400 that says so in its words; everything else as for all."""
    if isinstance(error, Unauthorized | Forbidden):
        return universal.failure(400, f"Invalid API key: {error.message}", error.code)
    if status in (400, 415):
        return universal.failure(
            400, error.message, error.code, {"missing_field": error.field or "events"}
        )
    return universal.refuse(error, status)


AMPLITUDE = Protocol(
    "amplitude",
    dict.fromkeys(("/2/httpapi", "/batch", "/batch/"), ("POST",)),
    read,
    accept,
    refuse,
    claims=claims,
    foreign=True,
)
