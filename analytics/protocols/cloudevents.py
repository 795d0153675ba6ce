"""CloudEvents over HTTP: in headers, as JSON, or as a list. docs/sdks/cloudevents.md maps them."""

import base64
from typing import Any
from urllib.parse import unquote

from analytics.errors import BadRequest
from analytics.events import event_id
from analytics.protocols import bodies, universal
from analytics.protocols.characters import unfit
from analytics.protocols.fields import item, joined, rest
from analytics.protocols.ids import first_id, id_of, joint_id, own_id
from analytics.protocols.protocol import Draft, EventError, Incoming, Protocol
from analytics.protocols.translate import Translation, Translator
from analytics.protocols.validate import LIMITS

_TYPE = b"application/cloudevents"
_USED = ("type", "id", "time", "data", "userid", "authid", "sessionid", "writekey")


def read(incoming: Incoming) -> Draft:
    """One event or a list. The key is in a header, as for our own events, or in `writekey`."""
    content = incoming.headers.get(b"content-type", b"").lower()
    items = (
        bodies.batch(bodies.json(incoming.body))
        if content.startswith(_TYPE)
        else [_binary(incoming, content)]
    )
    key = incoming.key
    return Translator(incoming).draft(
        items, translate, lambda event: key or bodies.word(event, "writekey")
    )


def _binary(incoming: Incoming, content: bytes) -> dict[str, Any]:
    """An event whose attributes are headers, and whose data is the body."""
    event: dict[str, Any] = {
        name[3:].decode("latin-1"): unquote(value.decode("latin-1"), errors="surrogateescape")
        for name, value in incoming.headers.items()
        if name.startswith(b"ce-")
    }
    if content:
        event["datacontenttype"] = content.decode("latin-1")
    if not incoming.body:
        return event
    if b"json" in content or not content:
        event["data"] = bodies.json(incoming.body)
    else:
        try:
            event["data"] = incoming.body.decode()
        except UnicodeDecodeError:
            event["data_base64"] = base64.b64encode(incoming.body).decode()
    return event


def translate(value: Any) -> Translation:
    """One event. Its id is unique only together with its source."""
    event = item(value)
    sent, source = id_of(event.get("id")), event.get("source")
    if sent is None or not isinstance(source, str):
        field = "id" if isinstance(source, str) else "source"
        raise EventError("missing", field, "a CloudEvent has an id and a source")
    own = own_id(sent)
    data = event.get("data")
    other_data = None if isinstance(data, dict) else data
    return Translation(
        type="track",
        action=event.get("type"),
        user=first_id(event.get("userid"), event.get("authid")),
        session=event.get("sessionid"),
        id=None if own is None else _whole_id(source, own),
        former=None if own in (None, sent) else _whole_id(source, sent),
        properties=data if isinstance(data, dict) else None,
        context=joined(rest(event, _USED), {"$id": own, "$data": other_data}),
        time=event.get("time"),
    )


def _whole_id(source: str, id_: str) -> str:
    """Source and id with a space between; a UUID made of them where no id may be such a text."""
    whole = f"{source} {id_}"
    if unfit(whole):
        return str(joint_id(id_, source))
    return whole if len(whole) <= LIMITS["id"] else str(event_id(whole))


def claims(incoming: Incoming) -> bool:
    """Whether the headers say that a request is a CloudEvent."""
    if b"ce-specversion" in incoming.headers or b"ce-id" in incoming.headers:
        return True
    return incoming.headers.get(b"content-type", b"").lower().startswith(_TYPE)


def read_named(incoming: Incoming) -> Draft:
    """The same; raises BadRequest for anything else, which only a path of its own can get."""
    if not claims(incoming):
        raise BadRequest(
            "a CloudEvent needs ce-… headers, or the content type application/cloudevents+json",
            code="missing",
            field="ce-id",
        )
    return read(incoming)


CLOUDEVENTS = Protocol(
    "cloudevents",
    dict.fromkeys(("/collect", "/cloudevents"), ("POST",)),
    read_named,
    universal.accept,
    universal.refuse,
    claims=claims,
)
