"""Mixpanel: events, profiles and groups as its libraries send them, and imports. The table of what
becomes what stands in docs/sdks/mixpanel.md.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from analytics.errors import AnalyticsError
from analytics.events import Event
from analytics.protocols import bodies, universal
from analytics.protocols.protocol import Decoded, Draft, Fault, Incoming, Protocol, Reply
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

_KINDS = {
    "$identify": ("identify", "identify"), "$create_alias": ("alias", "alias"), "$merge": ("alias", "merge"),
    "$mp_web_page_view": ("page", "view"), "$mp_page_view": ("page", "view"),
}  # fmt: skip
"""Their events that mean what others have too → type and action; all others are tracks of their
name.
"""

_OPERATIONS = ("$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete")
_CONTEXT: Names = {
    "$current_url": "$url", "current_url_path": "$path", "current_page_title": "$title", "mp_lib": "$lib", "mp_country_code": "$country", "ip": "$ip",
    **{f"utm_{name}": f"$utm_{name}" for name in ("source", "medium", "campaign", "term", "content")},
}  # fmt: skip
_DEVICE = "$device:"
"""How the person is called before a user is known."""

_SECONDS_BELOW = 10**11
"""Smaller numbers are seconds, larger ones milliseconds."""


def read(incoming: Incoming) -> Draft:
    """Events or profiles, in `data` of a form or the query, as JSON or base64; the key stands in
    each of them.
    """
    items = bodies.batch(bodies.data(incoming))
    key = _key(items[0]) or incoming.username or incoming.key
    return Draft(key, partial(Judge(incoming, key).decide, items, tell))


def read_import(incoming: Incoming) -> Draft:
    """A list, or an event a line; the key is the name in Basic, for a service account the project's
    id.
    """
    items = bodies.batch(bodies.lines(incoming.body))
    key = bodies.fields(incoming.query).get("project_id") or incoming.username or _key(items[0])
    return Draft(key, partial(Judge(incoming, key).decide, items, partial(tell, keyed=False)))


def _key(value: Any) -> str | None:
    event = bodies.mapping(value)
    found = (event.get("$token"), bodies.mapping(event.get("properties")).get("token"))
    return next((key for key in found if isinstance(key, str) and key), None)


def claims(incoming: Incoming) -> bool:
    """Whether a request is not PostHog's, whose bodies have a key for all or are a batch, and whose
    tokens begin in a way of their own.
    """
    try:
        body = bodies.data(incoming)
    except AnalyticsError:
        return False
    first = body[0] if isinstance(body, list) and body else body
    envelope = bodies.mapping(body)
    return not (
        "batch" in envelope or "api_key" in envelope or (_key(first) or "").startswith("phc_")
    )


def tell(value: Any, *, keyed: bool = True) -> Told:
    """One event, or one update of a profile or a group."""
    message = item(value)
    told = _event(message) if "event" in message else _update(message)
    told.key = _key(value) if keyed else None
    return told


def _event(event: dict[str, Any]) -> Told:
    properties = bodies.mapping(event.get("properties"))
    name = event.get("event")
    kind, action = _KINDS.get(name, ("track", name)) if isinstance(name, str) else ("track", name)
    user, anonymous, previous, used = _who(str(name), properties)
    return Told(
        type=kind,
        action=action,
        user=user,
        anonymous=anonymous,
        id=properties.get("$insert_id"),
        properties=without(
            properties, ("token", "distinct_id", "time", "$insert_id", *used, *_CONTEXT)
        ),
        context=joined(
            rest(event, ("event", "properties")),
            {**renamed(properties, _CONTEXT), "$previous_id": previous},
        ),
        time=_time(properties.get("time")),
    )


def _who(name: str, properties: dict[str, Any]) -> tuple[Any, Any, Any, Sequence[str]]:
    """User, anonymous id, previous id, and the properties that said so."""
    person, device = properties.get("distinct_id"), properties.get("$device_id")
    if name == "$identify":
        return (
            properties.get("$identified_id", person),
            properties.get("$anon_id"),
            None,
            ("$identified_id", "$anon_id"),
        )
    if name == "$create_alias":
        return properties.get("alias"), None, person, ("alias",)
    if (
        name == "$merge"
        and isinstance(pair := properties.get("$distinct_ids"), list)
        and len(pair) == 2
    ):
        return pair[0], None, pair[1], ("$distinct_ids",)
    if isinstance(person, str) and person.startswith(_DEVICE):
        device, person = person.removeprefix(_DEVICE), None
    return properties.get("$user_id", person), device, None, ("$user_id", "$device_id")


def _update(update: dict[str, Any]) -> Told:
    """Its operations are kept as they are; the first names it."""
    operation = next((name for name in _OPERATIONS if name in update), None)
    if operation is None:
        raise Fault(
            "missing", "event", "this is neither an event nor an update of a profile or a group"
        )
    person = update.get("$distinct_id")
    return Told(
        type="group" if "$group_id" in update else "identify",
        action=operation[1:],
        user=person,
        properties=rest(update, ("$token", "$distinct_id", "$time")),
        time=_time(update.get("$time")),
    )


def _time(value: Any) -> Any:
    """Seconds, or from a number on that they will not reach for long, milliseconds."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        return value
    number = float(value) if isinstance(value, int | Decimal | str) else 0.0
    return since_epoch(value, 1 if abs(number) < _SECONDS_BELOW else 1000)


def accept(incoming: Incoming, decoded: Decoded, _: Sequence[Event]) -> Reply:
    """What was asked for: an object with `verbose`, else a bare 1."""
    if not decoded.events:
        return _refused(incoming, universal.refuse_all(decoded.rejected))
    full = universal.success({}, decoded.rejected)
    return full if _verbose(incoming) else Reply(200, b"1", note=full.note)


def _refused(incoming: Incoming, full: Reply) -> Reply:
    return full if _verbose(incoming) else Reply(full.status, b"0", note=full.note)


def _verbose(incoming: Incoming) -> bool:
    form = bodies.fields(incoming.body) if bodies.is_form(incoming.body) else {}
    return "1" in (form.get("verbose"), bodies.fields(incoming.query).get("verbose"))


def accept_import(_: Incoming, decoded: Decoded, __: Sequence[Event]) -> Reply:
    """How many, and the records that failed."""
    failed = [
        {"index": each.index, "field": each.field, "message": each.message}
        for each in decoded.rejected
    ]
    if not decoded.events:
        return universal.refuse_all(
            decoded.rejected,
            {"failed_records": failed, "num_records_imported": 0, "status": "Bad Request"},
        )
    more = {"num_records_imported": len(decoded.events), "status": "OK"} | (
        {"failed_records": failed} if failed else {}
    )
    return universal.success(more, decoded.rejected)


MIXPANEL = Protocol(
    "mixpanel",
    dict.fromkeys(
        [path + slash for path in ("/track", "/engage", "/groups") for slash in ("", "/")],
        ("GET", "POST"),
    ),
    read,
    accept,
    universal.refuse,
    claims=claims,
    foreign=True,
)
MIXPANEL_IMPORT = Protocol(
    "mixpanel_import",
    {"/import": ("POST",), "/import/": ("POST",)},
    read_import,
    accept_import,
    universal.refuse,
    foreign=True,
)
