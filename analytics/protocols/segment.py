"""Segment, and RudderStack and Jitsu, whose libraries send the same.

One event a request at a path that names its type, or a batch. docs/sdks/segment.md maps the fields.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from analytics.protocols import bodies, numbers, universal
from analytics.protocols.fields import Names, first, item, joined, renamed, rest, without
from analytics.protocols.protocol import Draft, Incoming, Protocol, Reply
from analytics.protocols.translate import Translation, Translator

TYPES = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}
"""Short names of types in the paths of browsers → their long names."""

_TRAITS = ("identify", "group")
_NAMES = {"track": "event", "page": "name", "screen": "name"}
"""Type → the field that names what happened; any other type is a name itself."""

_NUMBERS = ("revenue", "value")
"""Properties with a meaning of their own in Segment's specification."""

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
    """A body with its key, which may also be the user name in Basic, in a header or each call."""
    body = bodies.json(incoming.body)
    envelope = bodies.mapping(body)
    items = bodies.batch(envelope.get("batch", body))
    key = incoming.username or incoming.key or bodies.word(envelope, "writeKey")
    last = incoming.path.rpartition("/")[2]
    kind = TYPES.get(last, last if last in TYPES.values() else None)
    common = bodies.mapping(envelope.get("context")) if "batch" in envelope else {}
    translator = Translator(incoming, envelope.get("sentAt"))
    return translator.draft(
        items,
        partial(translate, kind, common),
        lambda call: key or bodies.word(call, "writeKey"),
        common,
    )


def translate(kind: str | None, common: dict[str, Any], value: Any) -> Translation:
    """One call of the library.

    `kind` is its type if it does not have one itself; `common` is the context of its batch.
    """
    call = item(value)
    kind = call.get("type") or kind
    given = call.get("context")
    context = common | bodies.mapping(given)
    name = _NAMES.get(kind) if isinstance(kind, str) else None
    properties = call.get("traits" if kind in _TRAITS else "properties")
    if isinstance(properties, dict):
        properties = numbers.within(properties, _NUMBERS)
    other = call.get("properties" if kind in _TRAITS else "traits")
    return Translation(
        type=kind,
        action=kind if name is None else call.get(name) or ("view" if name == "name" else None),
        user=call.get("userId"),
        anonymous=call.get("anonymousId"),
        previous=call.get("previousId"),
        session=context.get("sessionId"),
        id=call.get("messageId"),
        properties=properties,
        context=joined(
            rest(call, (*_USED, name)) | ({} if isinstance(given, dict) else {"$context": given}),
            {
                "$group_id": call.get("groupId"),
                "$properties" if kind in _TRAITS else "$traits": other,
            }
            | _flat(context),
        ),
        time=first(call.get("timestamp"), call.get("originalTimestamp")),
        sent_at=call.get("sentAt"),
        historical=call.get("receivedAt") is not None,
    )


def _flat(context: dict[str, Any]) -> dict[str, Any]:
    """A call's context by `$` names; what has no such name stays together under `$context`."""
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
    remaining = {name: value for name, value in other.items() if value not in (None, {}, "")}
    return (
        renamed(page, _PAGE)
        | renamed(context, _CONTEXT)
        | renamed(library, _LIBRARY)
        | tags
        | {"$context": remaining}
    )


_ROUTES = (
    *(f"/v1/{kind}" for pair in TYPES.items() for kind in pair),
    *("/v1/batch", "/v1/b", "/v1/import"),
    *(f"/api/s/{kind}" for kind in TYPES.values()),
)


def settings(path: Mapping[str, str]) -> Reply:
    """A browser's library first asks which destinations there are, and with which key."""
    integrations = {"Segment.io": {"apiKey": path["key"]}}
    return Reply(200, msgspec.json.encode({"integrations": integrations}))


SEGMENT = Protocol(
    "segment",
    dict.fromkeys(_ROUTES, ("POST",)),
    read,
    universal.accept,
    universal.refuse,
    foreign=True,
    stubs={"/v1/projects/{key}/settings": settings},
)
