"""Amplitude: its HTTP API v2 and its batch API. docs/sdks/amplitude.md maps their fields."""

from collections.abc import Sequence
from typing import Any

import msgspec

from analytics.errors import AnalyticsError, Forbidden, Unauthorized
from analytics.events import Event
from analytics.protocols import bodies, numbers, universal
from analytics.protocols.fields import (
    UTM,
    Names,
    first,
    item,
    joined,
    kind_of,
    renamed,
    rest,
    without,
)
from analytics.protocols.ids import first_id, id_of
from analytics.protocols.protocol import (
    MAX_INDICES,
    Decoded,
    Draft,
    Incoming,
    Protocol,
    Reply,
)
from analytics.protocols.translate import Translation, Translator

_KINDS = {
    "$identify": ("identify", "identify"),
    "$groupidentify": ("group", "group"),
    "[Amplitude] Page Viewed": ("page", "view"),
    "[Amplitude] Screen Viewed": ("screen", "view"),
}
"""Events that other products have too → type and action. All others become tracks."""

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
_NUMBERS = ("price", "quantity", "revenue", "location_lat", "location_lng")
_REVENUE = ("$price", "$quantity", "$revenue")
"""Properties in which the libraries send the same."""

_PAGE: Names = {
    "[Amplitude] Page URL": "$url",
    "[Amplitude] Page Path": "$path",
    "[Amplitude] Page Title": "$title",
    "referrer": "$referrer",
    **UTM,
}


class _Envelope(msgspec.Struct, gc=False):
    """A body, of which only this is of interest."""

    events: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_open = msgspec.json.Decoder(_Envelope).decode


def read(incoming: Incoming) -> Draft:
    """An object with `api_key` and `events`; the key may also be in each event."""
    body = bodies.mapping(bodies.json(incoming.body))
    key = bodies.word(body, "api_key") or incoming.key
    items = bodies.batch(body.get("events", []))
    translator = Translator(incoming, body.get("client_upload_time"))
    return translator.draft(items, translate, lambda event: key or bodies.word(event, "api_key"))


def claims(incoming: Incoming) -> bool:
    """Whether a body has `events`; PostHog's has `batch`."""
    try:
        return _open(incoming.body).events is not msgspec.UNSET
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return "events" in bodies.mapping(bodies.json(incoming.body))
    except AnalyticsError:
        return False


def translate(value: Any) -> Translation:
    """One event."""
    event = numbers.within(item(value), _NUMBERS)
    name, traits = event.get("event_type"), event.get("user_properties")
    user, device = event.get("user_id"), event.get("device_id")
    kind, action = kind_of(name, _KINDS)
    properties = event.get("event_properties")
    if isinstance(properties, dict):
        properties = numbers.within(properties, _REVENUE)
    page = renamed(bodies.mapping(properties), _PAGE) if kind == "page" else {}
    if page:
        properties = without(bodies.mapping(properties), _PAGE)
    if kind == "identify":
        properties, traits = traits, properties
    library = event.get("library")
    lib, _, version = library.partition("/") if isinstance(library, str) else (library, "", "")
    return Translation(
        type=kind,
        action=action,
        user=user,
        anonymous=device,
        session=None if event.get("session_id") in (-1, "-1") else event.get("session_id"),
        id=event.get("insert_id"),
        together=(id_of(first_id(device, user)),),
        properties=properties,
        context=joined(
            rest(event, (*_USED, *_FIELDS)),
            {
                **renamed(event, _FIELDS),
                **page,
                "$lib": lib,
                "$lib_version": version,
                "$ip": None if event.get("ip") == "$remote" else event.get("ip"),
                "$event_properties" if kind == "identify" else "$user_properties": traits,
            },
        ),
        time=first(event.get("time"), event.get("timestamp")),
    )


def accept(incoming: Incoming, decoded: Decoded, accepted: Sequence[Event]) -> Reply:
    """How many were accepted; if none, the invalid field of each event.

    The library would send again what these fields do not name. Of more events than it sends at once
    not all are named; a missing field then makes it drop the whole request.
    """
    if decoded.events:
        received_ms = int(incoming.received.timestamp() * 1000)
        more = {
            "events_ingested": len(accepted),
            "payload_size_bytes": len(incoming.body),
            "server_upload_time": received_ms,
        }
        return universal.success(more, decoded)
    fields: dict[str, list[int]] = {}
    for rejection in decoded.rejected[:MAX_INDICES]:
        field = (rejection.field or "event").partition(".")[0]
        fields.setdefault(field, []).append(rejection.index)
    named: dict[str, Any] = {"events_with_invalid_fields": fields}
    if len(decoded.rejected) > MAX_INDICES:
        named["missing_field"] = next(iter(fields))
    return universal.refuse_all(decoded, named)


def refuse(error: AnalyticsError, status: int) -> Reply:
    """A 400 in Amplitude's words for what the library cannot mend; else as for every library."""
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
