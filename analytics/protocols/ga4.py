"""Google Analytics 4: the Measurement Protocol. docs/sdks/ga4.md maps its fields."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from analytics.events import Event
from analytics.protocols import bodies, numbers, universal
from analytics.protocols.fields import (
    Names,
    first,
    item,
    joined,
    kind_of,
    renamed,
    rest,
    without,
)
from analytics.protocols.ids import first_id
from analytics.protocols.protocol import Decoded, Draft, Incoming, Protocol, Reply
from analytics.protocols.times import MAX_TIME_DIGITS, since_epoch
from analytics.protocols.translate import Translation, Translator

_KINDS = {"page_view": ("page", "view"), "screen_view": ("screen", "view")}
"""Events that other products have too → type and action. All others become tracks."""

_PARAMS: Names = {
    "page_location": "$url",
    "page_title": "$title",
    "page_referrer": "$referrer",
    "language": "$language",
    "screen_resolution": "$screen",
}
_NUMBERS = ("value", "tax", "shipping", "engagement_time_msec", "ga_session_number")
_ITEM_NUMBERS = ("price", "quantity", "discount", "index")
_USED = ("client_id", "app_instance_id", "user_id", "timestamp_micros", "events", "ip_override")


def read(incoming: Incoming) -> Draft:
    """An object with `events`.

    The key is measurement_id:api_secret (or firebase_app_id:api_secret) of the query string.
    """
    body = bodies.mapping(bodies.json(incoming.body))
    query = bodies.fields(incoming.query)
    stream = query.get("measurement_id") or query.get("firebase_app_id")
    secret = query.get("api_secret")
    key = f"{stream}:{secret}" if stream and secret else stream or incoming.key
    items = bodies.batch(body.get("events", []))
    return Translator(incoming).draft(
        items, partial(translate, body), lambda _: key, without(body, ("events",))
    )


def translate(body: dict[str, Any], value: Any) -> Translation:
    """One event of a request; its user, and often its time, are in the request's body."""
    event = item(value)
    name, given = event.get("name"), event.get("params")
    params = numbers.within(bodies.mapping(given), _NUMBERS)
    if isinstance(items := params.get("items"), list):
        params["items"] = [
            numbers.within(one, _ITEM_NUMBERS) if isinstance(one, dict) else one for one in items
        ]
    kind, action = kind_of(name, _KINDS)
    time = first(event.get("timestamp_micros"), body.get("timestamp_micros"))
    return Translation(
        type=kind,
        action=action,
        user=body.get("user_id"),
        anonymous=first_id(body.get("client_id"), body.get("app_instance_id")),
        session=_session(params.get("session_id")),
        properties=without(params, ("session_id", *_PARAMS)) if isinstance(given, dict) else given,
        context=joined(
            rest(body, _USED) | rest(event, ("name", "params", "timestamp_micros")),
            {**renamed(params, _PARAMS), "$ip": body.get("ip_override")},
        ),
        time=since_epoch(time, 1_000_000),
    )


def _session(value: Any) -> Any:
    """Google's session is a number, which some libraries send as text."""
    if not isinstance(value, str) or len(value) >= MAX_TIME_DIGITS:
        return value
    return int(value) if value.isascii() and value.isdigit() else value


def accept(_: Incoming, decoded: Decoded, __: Sequence[Event]) -> Reply:
    """An empty 204, as Google replies."""
    if not decoded.events:
        return universal.refuse_all(decoded)
    return Reply(204, b"", note=universal.note(decoded.rejected))


GA4 = Protocol("ga4", {"/mp/collect": ("POST",)}, read, accept, universal.refuse, foreign=True)
