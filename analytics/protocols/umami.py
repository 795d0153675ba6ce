"""Umami: page views, events and users, one a request or a list. docs/sdks/umami.md maps fields."""

from collections.abc import Sequence
from typing import Any

import msgspec

from analytics.events import Event, event_id
from analytics.protocols import bodies, numbers, universal
from analytics.protocols.fields import Names, item, joined, renamed, rest, text
from analytics.protocols.protocol import Decoded, Draft, Incoming, Protocol, Reply
from analytics.protocols.times import since_epoch
from analytics.protocols.translate import Translation, Translator

_CONTEXT: Names = {
    "url": "$url",
    "referrer": "$referrer",
    "title": "$title",
    "language": "$language",
    "screen": "$screen",
    "ip": "$ip",
    "userAgent": "$user_agent",
}
_USED = ("website", "name", "data", "id", "timestamp")


def read(incoming: Incoming) -> Draft:
    """An object, or a list of them. The key is each one's website.

    Authorization is ignored. It is for Umami's own cloud, and some libraries fill it with nonsense.
    """
    return Translator(incoming).draft(bodies.batch(bodies.json(incoming.body)), translate, _key)


def _key(value: Any) -> str | None:
    website = text(bodies.mapping(bodies.mapping(value).get("payload")).get("website"))
    return website if isinstance(website, str) else None


def translate(value: Any) -> Translation:
    """One message: an event with a name, a page view without one, or `identify`."""
    message = item(value)
    payload = bodies.mapping(message.get("payload"))
    given, name, data = message.get("type"), payload.get("name"), payload.get("data")
    if given == "event":
        kind, action = ("page", "view") if name in (None, "") else ("track", name)
    else:
        kind, action = ("identify" if given == "identify" else "track"), given
    return Translation(
        type=kind,
        action=action,
        user=payload.get("id"),
        properties=numbers.within(data, ("revenue",)) if isinstance(data, dict) else data,
        context=joined(
            rest(message, ("type", "payload") if payload else ("type",))
            | rest(payload, (*_USED, *_CONTEXT)),
            {**renamed(payload, _CONTEXT), "$name": name if given != "event" else None},
        ),
        time=since_epoch(payload.get("timestamp"), 1),
    )


def accept(incoming: Incoming, decoded: Decoded, accepted: Sequence[Event]) -> Reply:
    """For one event its actor, as an id like Umami's; for a list, how many were accepted."""
    if not decoded.events:
        return universal.refuse_all(decoded)
    if incoming.path.startswith("/api/batch"):
        return universal.success(
            {
                "size": len(decoded.events) + len(decoded.rejected),
                "processed": len(accepted),
                "errors": len(decoded.rejected),
            },
            decoded,
        )
    if not accepted:
        return Reply(200, b'{"beep":"boop"}')
    actor = event_id(accepted[0].actor)
    return Reply(200, msgspec.json.encode({"cache": "", "sessionId": actor, "visitId": actor}))


UMAMI = Protocol(
    "umami",
    {"/api/send": ("POST",), "/api/batch": ("POST",)},
    read,
    accept,
    universal.refuse,
    foreign=True,
)
