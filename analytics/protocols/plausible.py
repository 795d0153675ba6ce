"""Plausible: one event a request, under long names or short ones. The table of what becomes what
stands in docs/sdks/plausible.md.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from analytics.errors import BadRequest
from analytics.events import Event
from analytics.protocols import bodies, universal
from analytics.protocols.protocol import Decoded, Draft, Incoming, Protocol, Reply
from analytics.protocols.translate import Judge, Names, Told, item, joined, renamed, rest

_LONG = {
    "n": "name", "u": "url", "d": "domain", "r": "referrer", "p": "props", "m": "props", "meta": "props", "h": "hash_mode", "i": "interactive",
    "w": "screen_width", "v": "version", "e": "engagement_time", "sd": "scroll_depth", "$": "revenue",
}  # fmt: skip
"""What scripts call the fields, to save bytes."""

_CONTEXT: Names = {
    "url": "$url",
    "referrer": "$referrer",
    "domain": "$domain",
    "screen_width": "$screen",
}


def read(incoming: Incoming) -> Draft:
    """An object; its key is the domain, the first where there are several."""
    body = bodies.json(incoming.body)
    if not isinstance(body, dict):
        raise BadRequest("the body must be an event", code="wrong_type")
    event = {_LONG.get(name, name): value for name, value in body.items()}
    domain = event.get("domain")
    key = domain.partition(",")[0].strip() or None if isinstance(domain, str) else None
    return Draft(key, partial(Judge(incoming, key).decide, [event], tell))


def tell(value: Any) -> Told:
    """One event under its long names."""
    event = item(value)
    view = event.get("name") == "pageview"
    return Told(
        type="page" if view else "track",
        action="view" if view else event.get("name"),
        properties=_props(event.get("props")),
        context=joined(rest(event, ("name", "props", *_CONTEXT)), renamed(event, _CONTEXT)),
    )


def _props(value: Any) -> Any:
    """Properties, which may be JSON within JSON."""
    if not isinstance(value, str):
        return value
    try:
        return bodies.json(value.encode())
    except (BadRequest, UnicodeEncodeError):
        return value


def accept(_: Incoming, decoded: Decoded, taken: Sequence[Event]) -> Reply:
    """`ok`; what was wrong with the event, otherwise."""
    if decoded.events:
        return Reply(
            202, b"ok", b"text/plain", headers=() if taken else ((b"x-plausible-dropped", b"1"),)
        )
    rejection = decoded.rejected[0]
    return universal.refuse_all(
        decoded.rejected, {"errors": {rejection.field or "event": [rejection.message]}}
    )


PLAUSIBLE = Protocol(
    "plausible",
    {"/api/event": ("POST",)},
    read,
    accept,
    universal.refuse,
    foreign=True,
    relayed=True,
)
