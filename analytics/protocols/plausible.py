"""Plausible: one event a request, with long or short names. docs/sdks/plausible.md maps them."""

from collections.abc import Sequence
from typing import Any

from analytics.errors import BadRequest
from analytics.events import Event
from analytics.protocols import bodies, numbers, universal
from analytics.protocols.fields import Names, item, joined, renamed, rest
from analytics.protocols.protocol import Decoded, Draft, Incoming, Protocol, Reply
from analytics.protocols.translate import Translation, Translator

_LONG = {
    "n": "name",
    "u": "url",
    "d": "domain",
    "r": "referrer",
    "p": "props",
    "m": "props",
    "meta": "props",
    "h": "hash_mode",
    "i": "interactive",
    "w": "screen_width",
    "v": "version",
    "e": "engagement_time",
    "sd": "scroll_depth",
    "$": "revenue",
}
"""Short names of fields, which save bytes → their long names."""

_CONTEXT: Names = {
    "url": "$url",
    "referrer": "$referrer",
    "domain": "$domain",
    "screen_width": "$screen",
}
_NUMBERS = ("screen_width", "version", "engagement_time", "scroll_depth")


def read(incoming: Incoming) -> Draft:
    """An object. The key is its domain, the first if there are several."""
    body = bodies.json(incoming.body)
    if not isinstance(body, dict):
        raise BadRequest("the body must be an event", code="wrong_type")
    event = {_LONG.get(name, name): value for name, value in body.items()}
    domain = event.get("domain")
    key = domain.partition(",")[0].strip() or None if isinstance(domain, str) else None
    return Translator(incoming).draft([event], translate, lambda _: key)


def translate(value: Any) -> Translation:
    """One event with long names."""
    event = numbers.within(item(value), _NUMBERS)
    if "revenue" in event:
        event["revenue"] = _revenue(event["revenue"])
    view = event.get("name") == "pageview"
    return Translation(
        type="page" if view else "track",
        action="view" if view else event.get("name"),
        properties=_parsed(event.get("props")),
        context=joined(rest(event, ("name", "props", *_CONTEXT)), renamed(event, _CONTEXT)),
    )


def _revenue(value: Any) -> Any:
    """An amount and its currency, or an amount alone."""
    revenue = _parsed(value)
    return numbers.within(revenue, ("amount",)) if isinstance(revenue, dict) else revenue


def _parsed(value: Any) -> Any:
    """What may be JSON within JSON; what is not JSON comes back as it is."""
    if not isinstance(value, str):
        return value
    try:
        return numbers.of(bodies.parsed(value))
    except ValueError:
        return value


def accept(_: Incoming, decoded: Decoded, accepted: Sequence[Event]) -> Reply:
    """`ok`, or what is wrong with the event."""
    if decoded.events:
        headers = () if accepted else ((b"x-plausible-dropped", b"1"),)
        return Reply(202, b"ok", b"text/plain", headers=headers)
    rejection = decoded.rejected[0]
    errors = {rejection.field or "event": [rejection.message]}
    return universal.refuse_all(decoded, {"errors": errors})


PLAUSIBLE = Protocol(
    "plausible",
    {"/api/event": ("POST",)},
    read,
    accept,
    universal.refuse,
    foreign=True,
    relayed=True,
)
