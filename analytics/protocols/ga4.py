"""Google Analytics 4: the Measurement Protocol. The table of what becomes what stands in
docs/sdks/ga4.md.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from analytics.events import Event
from analytics.protocols import bodies, universal
from analytics.protocols.protocol import Decoded, Draft, Incoming, Protocol, Reply
from analytics.protocols.translate import (
    Judge,
    Names,
    Told,
    item,
    joined,
    renamed,
    rest,
    since_epoch,
    without,
)

_KINDS = {"page_view": ("page", "view"), "screen_view": ("screen", "view")}
"""Their events that mean what others have too → type and action; all others are tracks of their
name.
"""

_PARAMS: Names = {
    "page_location": "$url",
    "page_title": "$title",
    "page_referrer": "$referrer",
    "language": "$language",
    "screen_resolution": "$screen",
}
_USED = ("client_id", "app_instance_id", "user_id", "timestamp_micros", "events")


def read(incoming: Incoming) -> Draft:
    """An object with `events`. The key is measurement_id:api_secret (or
    firebase_app_id:api_secret), both from the query.
    """
    body = bodies.mapping(bodies.json(incoming.body))
    query = bodies.fields(incoming.query)
    stream, secret = (
        query.get("measurement_id") or query.get("firebase_app_id"),
        query.get("api_secret"),
    )
    key = f"{stream}:{secret}" if stream and secret else stream or incoming.key
    return Draft(
        key,
        partial(
            Judge(incoming, key).decide, bodies.batch(body.get("events", [])), partial(tell, body)
        ),
    )


def tell(body: dict[str, Any], value: Any) -> Told:
    """One event of a request, which says who did it and when."""
    event = item(value)
    name, given = event.get("name"), event.get("params")
    params = bodies.mapping(given)
    kind, action = _KINDS.get(name, ("track", name)) if isinstance(name, str) else ("track", name)
    session = params.get("session_id")
    time = event.get("timestamp_micros", body.get("timestamp_micros"))
    return Told(
        type=kind,
        action=action,
        user=body.get("user_id"),
        anonymous=body.get("client_id") or body.get("app_instance_id"),
        session=int(session)
        if isinstance(session, str)
        and session.isascii()
        and session.isdigit()
        and len(session) < 30
        else session,
        properties=without(params, ("session_id", *_PARAMS)) if isinstance(given, dict) else given,
        context=joined(
            rest(body, _USED) | rest(event, ("name", "params", "timestamp_micros")),
            renamed(params, _PARAMS),
        ),
        time=None if time is None else since_epoch(time, 1_000_000),
    )


def accept(_: Incoming, decoded: Decoded, __: Sequence[Event]) -> Reply:
    """Nothing, as they answer."""
    return (
        Reply(204, b"", note=universal.note(decoded.rejected))
        if decoded.events
        else universal.refuse_all(decoded.rejected)
    )


GA4 = Protocol("ga4", {"/mp/collect": ("POST",)}, read, accept, universal.refuse, foreign=True)
