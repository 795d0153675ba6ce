"""Mixpanel: events, profiles and groups as its libraries send them, and imports.

docs/sdks/mixpanel.md maps their fields.
"""

from collections.abc import Sequence
from typing import Any

from analytics.errors import AnalyticsError
from analytics.events import Event
from analytics.protocols import bodies, numbers, universal
from analytics.protocols.fields import (
    UTM,
    Names,
    item,
    joined,
    kind_of,
    renamed,
    rest,
    text,
    without,
)
from analytics.protocols.ids import first_id, id_of
from analytics.protocols.protocol import (
    MAX_NAMED,
    Decoded,
    Draft,
    EventError,
    Incoming,
    Protocol,
    Reply,
)
from analytics.protocols.times import since_epoch
from analytics.protocols.translate import Translation, Translator

_KINDS = {
    "$identify": ("identify", "identify"),
    "$create_alias": ("alias", "alias"),
    "$merge": ("alias", "merge"),
    "$mp_web_page_view": ("page", "view"),
    "$mp_page_view": ("page", "view"),
}
"""Events that other products have too → type and action. All others become tracks."""

_OPERATIONS = ("$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete")
_CONTEXT: Names = {
    "$current_url": "$url",
    "current_url_path": "$path",
    "current_page_title": "$title",
    "mp_lib": "$lib",
    "mp_country_code": "$country",
    "ip": "$ip",
    **UTM,
}
_DEVICE = "$device:"
"""The prefix of a distinct_id that names a device, not a user."""

_PERSON = ("$user_id", "$device_id")
"""Who it is, in the events and updates of libraries that know a device from a user."""

_SECONDS_BELOW = 10**11
"""Smaller numbers are seconds since 1970, larger ones milliseconds."""


def read(incoming: Incoming) -> Draft:
    """Events or profiles as JSON or base64, in the body or in `data` of a form or the query.

    Each of them has its key.
    """
    items, key = bodies.batch(bodies.data(incoming)), incoming.username or incoming.key
    return Translator(incoming).draft(items, translate, lambda event: _key(event) or key)


def read_import(incoming: Incoming) -> Draft:
    """A list of events, or one on each line.

    The key is the user name in Authorization: Basic; for a service account it is the project's id.
    Without either each event has its key.
    """
    items = bodies.batch(bodies.lines(incoming.body))
    key = bodies.fields(incoming.query).get("project_id") or incoming.username
    return Translator(incoming).draft(items, translate, lambda event: key or _key(event))


def _key(value: Any) -> str | None:
    properties = bodies.mapping(value).get("properties")
    return bodies.word(value, "$token") or bodies.word(properties, "token")


def claims(incoming: Incoming) -> bool:
    """Whether a request is Mixpanel's, not PostHog's, which uses the same path.

    PostHog's bodies have `batch` or `api_key`, or tokens with PostHog's prefix.
    """
    try:
        body = bodies.data(incoming)
    except AnalyticsError:
        return False
    items = body if isinstance(body, list) else [body]
    envelope = bodies.mapping(body)
    return not (
        "batch" in envelope
        or "api_key" in envelope
        or any((_key(event) or "").startswith("phc_") for event in items)
    )


def translate(value: Any) -> Translation:
    """One event, or one update of a profile or group."""
    message = item(value)
    return _event(message) if "event" in message else _update(message)


def _event(event: dict[str, Any]) -> Translation:
    given, name = event.get("properties"), event.get("event")
    properties = bodies.mapping(given)
    kind, action = kind_of(name, _KINDS)
    user, anonymous, previous, used = _actor(str(name), properties)
    used = ("token", "distinct_id", "time", "$insert_id", *used, *_CONTEXT)
    return Translation(
        type=kind,
        action=action,
        user=user,
        anonymous=anonymous,
        previous=previous,
        id=properties.get("$insert_id"),
        together=(
            text(name),
            numbers.of(properties.get("time")),
            id_of(properties.get("distinct_id")),
        ),
        properties=without(properties, used) if isinstance(given, dict) else given,
        context=joined(rest(event, ("event", "properties")), renamed(properties, _CONTEXT)),
        time=_time(properties.get("time")),
    )


def _actor(name: str, properties: dict[str, Any]) -> tuple[Any, Any, Any, Sequence[str]]:
    """User, anonymous id, previous id, and the properties that had them."""
    person = properties.get("distinct_id")
    if name == "$create_alias":
        return properties.get("alias"), None, person, ("alias",)
    pair = properties.get("$distinct_ids")
    if name == "$merge" and isinstance(pair, list) and len(pair) == 2:
        return pair[0], None, pair[1], ("$distinct_ids",)
    user, device = _person(person, properties)
    if name != "$identify":
        return user, device, None, _PERSON
    user = first_id(properties.get("$identified_id"), user)
    device = first_id(properties.get("$anon_id"), device)
    return user, device, None, (*_PERSON, "$identified_id", "$anon_id")


def _person(distinct_id: Any, source: dict[str, Any]) -> tuple[Any, Any]:
    """User and device, from a distinct_id and the fields of _PERSON beside it."""
    device = source.get("$device_id")
    if isinstance(distinct_id, str) and distinct_id.startswith(_DEVICE):
        device, distinct_id = distinct_id.removeprefix(_DEVICE), None
    return first_id(source.get("$user_id"), distinct_id), device


def _update(update: dict[str, Any]) -> Translation:
    """An update's operations become properties; the first of _OPERATIONS is the action."""
    operation = next((name for name in _OPERATIONS if name in update), None)
    if operation is None:
        message = "this is neither an event nor an update of a profile or a group"
        raise EventError("missing", "event", message)
    user, device = _person(update.get("$distinct_id"), update)
    return Translation(
        type="group" if "$group_id" in update else "identify",
        action=operation[1:],
        user=user,
        anonymous=device,
        properties=rest(update, ("$token", "$distinct_id", "$time", *_PERSON)),
        time=_time(update.get("$time")),
    )


def _time(value: Any) -> Any:
    """Seconds or milliseconds since 1970, told apart by size; what is no number stays as it is."""
    number = numbers.of(value)
    if not numbers.is_number(number):
        return value
    return since_epoch(number, 1 if -_SECONDS_BELOW < number < _SECONDS_BELOW else 1000)


def accept(incoming: Incoming, decoded: Decoded, _: Sequence[Event]) -> Reply:
    """An object if the request has `verbose`, else a bare 1."""
    if not decoded.events:
        return _refused(incoming, universal.refuse_all(decoded))
    full = universal.success({}, decoded)
    return full if _verbose(incoming) else Reply(200, b"1", note=full.note)


def _refused(incoming: Incoming, full: Reply) -> Reply:
    return full if _verbose(incoming) else Reply(full.status, b"0", note=full.note)


def _verbose(incoming: Incoming) -> bool:
    form = bodies.fields(incoming.body) if bodies.is_form(incoming.body) else {}
    return "1" in (form.get("verbose"), bodies.fields(incoming.query).get("verbose"))


def accept_import(_: Incoming, decoded: Decoded, accepted: Sequence[Event]) -> Reply:
    """How many were accepted, and the first records that failed."""
    failed = [
        {"index": rejection.index, "field": rejection.field, "message": rejection.message}
        for rejection in decoded.rejected[:MAX_NAMED]
    ]
    if not decoded.events:
        more = {"failed_records": failed, "num_records_imported": 0, "status": "Bad Request"}
        return universal.refuse_all(decoded, more)
    more = {"num_records_imported": len(accepted), "status": "OK"}
    return universal.success(more | ({"failed_records": failed} if failed else {}), decoded)


_PATHS = [path + slash for path in ("/track", "/engage", "/groups") for slash in ("", "/")]

MIXPANEL = Protocol(
    "mixpanel",
    dict.fromkeys(_PATHS, ("GET", "POST")),
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
