"""CloudEvents over HTTP: in headers, as JSON, or many as JSON. The table of what becomes what
stands in docs/sdks/cloudevents.md.
"""

import base64
from functools import partial
from typing import Any
from urllib.parse import unquote

from analytics.errors import BadRequest
from analytics.events import event_id
from analytics.protocols import bodies, metadata, universal
from analytics.protocols.protocol import Draft, Fault, Incoming, Protocol
from analytics.protocols.translate import Judge, Told, item, joined, rest

_TYPE = b"application/cloudevents"
_USED = ("type", "id", "time", "data", "userid", "authid", "sessionid", "writekey")
_LONGEST = 255


def read(incoming: Incoming) -> Draft:
    """One event or a list; its key stands in a header, as of our own events."""
    content = incoming.headers.get(b"content-type", b"").lower()
    items = (
        bodies.batch(bodies.json(incoming.body))
        if content.startswith(_TYPE)
        else [_binary(incoming, content)]
    )
    return Draft(incoming.key, partial(Judge(incoming, incoming.key).decide, items, tell))


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


def tell(value: Any) -> Told:
    """One event. Its id is one only together with its source."""
    event = item(value)
    name, source = event.get("id"), event.get("source")
    if not isinstance(name, str) or not isinstance(source, str):
        raise Fault(
            "missing",
            "id" if isinstance(source, str) else "source",
            "a CloudEvent has an id and a source",
        )
    both = f"{source} {name}"
    user = event.get("userid") or event.get("authid")
    data = event.get("data")
    return Told(
        type="track",
        action=event.get("type"),
        user=user,
        session=event.get("sessionid"),
        id=both if len(both) <= _LONGEST or metadata.unfit(both) else str(event_id(both)),
        properties=data if isinstance(data, dict) else None,
        context=joined(
            rest(event, _USED), {"$id": name, "$data": None if isinstance(data, dict) else data}
        ),
        time=event.get("time"),
    )


def claims(incoming: Incoming) -> bool:
    """Whether the headers say that it is one."""
    if b"ce-specversion" in incoming.headers or b"ce-id" in incoming.headers:
        return True
    return incoming.headers.get(b"content-type", b"").lower().startswith(_TYPE)


def read_named(incoming: Incoming) -> Draft:
    """On a path of its own, what is no CloudEvent is a mistake."""
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
