"""Segment: its libraries, those of RudderStack, which speak the same, and Jitsu's.

One event a request at a path that names its type, or a batch. The table of what becomes what stands
in docs/sdks/segment.md.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from analytics.protocols import bodies, universal
from analytics.protocols.protocol import Draft, Incoming, Protocol, Reply
from analytics.protocols.translate import Judge, Names, Told, item, joined, renamed, rest, without

TYPES = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}
"""What browsers call the types, to save bytes."""

_TRAITS = ("identify", "group")
_NAMES = {"track": "event", "page": "name", "screen": "name"}
"""Type → the field that names what happened; of all other types, the type itself is the name."""

_USED = (
    "type",
    "userId",
    "anonymousId",
    "messageId",
    "timestamp",
    "sentAt",
    "properties",
    "traits",
    "context",
    "previousId",
    "groupId",
    "writeKey",
)
_PAGE: Names = {
    "url": "$url",
    "path": "$path",
    "referrer": "$referrer",
    "title": "$title",
    "search": "$search",
}
_CONTEXT: Names = {
    "userAgent": "$user_agent",
    "locale": "$language",
    "ip": "$ip",
    "timezone": "$timezone",
}
_LIBRARY: Names = {"name": "$lib", "version": "$lib_version"}


def read(incoming: Incoming) -> Draft:
    """A body with its key, which may also be the name in Basic, or stand in a header."""
    body = bodies.json(incoming.body)
    envelope = bodies.mapping(body)
    items = bodies.batch(envelope.get("batch", body))
    key = envelope.get("writeKey")
    key = incoming.username or incoming.key or (key if isinstance(key, str) and key else None)
    last = incoming.path.rpartition("/")[2]
    kind = TYPES.get(last, last if last in TYPES.values() else None)
    common = bodies.mapping(envelope.get("context")) if "batch" in envelope else {}
    judge = Judge(incoming, key, envelope.get("sentAt"))
    return Draft(key, partial(judge.decide, items, partial(tell, kind, common)))


def tell(kind: str | None, common: dict[str, Any], value: Any) -> Told:
    """One call of the library, of this kind unless it says so itself; `common` is the context of
    its batch.
    """
    call = item(value)
    kind = call.get("type") or kind
    context = common | bodies.mapping(call.get("context"))
    name = _NAMES.get(kind) if isinstance(kind, str) else None
    properties = call.get("traits" if kind in _TRAITS else "properties")
    other = call.get("properties" if kind in _TRAITS else "traits")
    return Told(
        type=kind,
        action=kind if name is None else call.get(name) or ("view" if name == "name" else None),
        user=call.get("userId"),
        anonymous=call.get("anonymousId"),
        session=context.get("sessionId"),
        id=call.get("messageId"),
        properties=properties,
        context=joined(
            rest(call, (*_USED, name)),
            {
                "$previous_id": call.get("previousId"),
                "$group_id": call.get("groupId"),
                "$properties" if kind in _TRAITS else "$traits": other,
            }
            | _flat(context),
        ),
        time=call.get("originalTimestamp") if call.get("timestamp") is None else call["timestamp"],
        sent_at=call.get("sentAt"),
    )


def _flat(context: dict[str, Any]) -> dict[str, Any]:
    """Context: what every protocol knows by its name in metadata, all else under `$context`."""
    page, campaign, library = (
        bodies.mapping(context.get(name)) for name in ("page", "campaign", "library")
    )
    other = without(context, (*_CONTEXT, "sessionId")) | {
        "page": without(page, _PAGE) if page else context.get("page"),
        "campaign": {} if campaign else context.get("campaign"),
        "library": without(library, _LIBRARY) if library else context.get("library"),
    }
    tags = {
        f"$utm_{'campaign' if name == 'name' else name}": value for name, value in campaign.items()
    }
    kept = {name: value for name, value in other.items() if value not in (None, {}, "")}
    return (
        renamed(page, _PAGE)
        | renamed(context, _CONTEXT)
        | renamed(library, _LIBRARY)
        | tags
        | {"$context": kept}
    )


_ROUTES = (
    *(f"/v1/{kind}" for pair in TYPES.items() for kind in pair),
    *("/v1/batch", "/v1/b", "/v1/import"),
    *(f"/api/s/{kind}" for kind in TYPES.values()),
)


def settings(path: Mapping[str, str]) -> Reply:
    """What a library in a browser does first: it asks which destinations there are, and sends the
    key that stands there.
    """
    return Reply(
        200, msgspec.json.encode({"integrations": {"Segment.io": {"apiKey": path["key"]}}})
    )


SEGMENT = Protocol(
    "segment",
    dict.fromkeys(_ROUTES, ("POST",)),
    read,
    universal.accept,
    universal.refuse,
    foreign=True,
    stubs={"/v1/projects/{key}/settings": settings},
)
