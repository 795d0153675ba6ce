"""Snowplow: tracker protocol 2, by POST and by GET. docs/sdks/snowplow.md maps its fields."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from analytics.errors import AnalyticsError, BadRequest
from analytics.events import Event
from analytics.protocols import bodies, numbers, universal
from analytics.protocols.fields import (
    Names,
    first,
    item,
    joined,
    kind_of,
    renamed,
    rest,
    text,
)
from analytics.protocols.ids import first_id
from analytics.protocols.pixel import GIF
from analytics.protocols.protocol import Decoded, Draft, Incoming, Protocol, Reply
from analytics.protocols.times import since_epoch
from analytics.protocols.translate import Translation, Translator

_KINDS = {
    "pv": ("page", "view"),
    "pp": ("track", "page_ping"),
    "tr": ("track", "transaction"),
    "ti": ("track", "transaction_item"),
}
"""Code of an event whose name is fixed → type and action."""

_STRUCTURED: Names = {"se_ca": "category", "se_la": "label", "se_pr": "property", "se_va": "value"}
_NUMBERS = (
    *("se_va", "tr_tt", "tr_tx", "tr_sh", "ti_pr", "ti_qu"),
    *("pp_mix", "pp_max", "pp_miy", "pp_may", "vid", "cd"),
)
_CONTEXT: Names = {
    "url": "$url",
    "page": "$title",
    "refr": "$referrer",
    "lang": "$language",
    "res": "$screen",
    "ua": "$user_agent",
    "ip": "$ip",
    "tz": "$timezone",
    "p": "$platform",
    "tv": "$lib",
    "aid": "$app_id",
}
_USED = (
    "e",
    "se_ac",
    "ue_px",
    "ue_pr",
    "cx",
    "co",
    "eid",
    "uid",
    "duid",
    "tnuid",
    "nuid",
    "sid",
    "dtm",
    "stm",
    "ttm",
)
_IGLU = re.compile(r"iglu:[^/]+/([^/]+)/.*")


def read(incoming: Incoming) -> Draft:
    """An object with a list of events in `data`, or one event in the query string.

    The key is the id of each event's app.
    """
    if incoming.body.strip():
        body = bodies.mapping(bodies.json(incoming.body))
        if "data" not in body:
            raise BadRequest("the body must be an object with `data`", code="missing", field="data")
        items = bodies.batch(body["data"])
    else:
        items = [bodies.fields(incoming.query)]
    draft = Translator(incoming).draft(items, translate, _key)
    return msgspec.structs.replace(draft, coded_bytes=sum(map(_coded_bytes, items)))


def _coded_bytes(value: Any) -> int:
    """How much of an event is base64."""
    texts = map(bodies.mapping(value).get, ("ue_pr", "ue_px", "co", "cx"))
    return sum(len(one) for one in texts if isinstance(one, str) and one[:1] not in ("{", "["))


def _key(value: Any) -> str | None:
    app = text(bodies.mapping(value).get("aid"))
    return app if isinstance(app, str) else None


def translate(value: Any) -> Translation:
    """One event."""
    event = numbers.within(item(value), _NUMBERS)
    code = event.get("e")
    schema, data = _described(_json(event, "ue_pr", "ue_px")) if code == "ue" else (None, None)
    if code == "se":
        kind, action = "track", event.get("se_ac")
    elif code == "ue":
        kind, action = "track", _named(schema)
        if action == "screen_view":
            kind, action = "screen", bodies.mapping(data).get("name") or "view"
    else:
        kind, action = kind_of(code, _KINDS)
    true_time = first(event.get("ttm"))
    return Translation(
        type=kind,
        action=action,
        user=event.get("uid"),
        anonymous=first_id(event.get("duid"), event.get("tnuid"), event.get("nuid")),
        session=event.get("sid"),
        id=event.get("eid"),
        properties=renamed(event, _STRUCTURED) if code == "se" else data,
        context=joined(
            rest(event, (*_USED, *_CONTEXT, *(_STRUCTURED if code == "se" else ()))),
            {
                **renamed(event, _CONTEXT),
                "$schema": schema,
                "$contexts": _contexts(_json(event, "co", "cx")),
            },
        ),
        time=since_epoch(first(true_time, event.get("dtm")), 1000),
        sent_at=since_epoch(event.get("stm"), 1000),
        historical=true_time is not None,
    )


def _json(event: dict[str, Any], plain: str, encoded: str) -> Any:
    """The JSON in one field, or in base64 in the other; what cannot be read comes as it is."""
    value = first(event.get(plain), event.get(encoded))
    try:
        return bodies.embedded(value) if isinstance(value, str) else value
    except (AnalyticsError, ValueError):
        return value


def _described(value: Any) -> tuple[Any, Any]:
    """The schema and the data of a self-describing event."""
    inner = bodies.mapping(value).get("data")
    if isinstance(inner, dict) and "schema" in inner:
        return inner["schema"], inner.get("data")
    return None, value


def _named(schema: Any) -> Any:
    """The event's name in the address of its schema."""
    match = _IGLU.fullmatch(schema) if isinstance(schema, str) else None
    return match[1] if match else schema


def _contexts(value: Any) -> Any:
    """The list of contexts."""
    return bodies.mapping(value).get("data", value)


def accept(incoming: Incoming, decoded: Decoded, accepted: Sequence[Event]) -> Reply:
    """An image for a GET, else JSON."""
    reply = universal.accept(incoming, decoded, accepted)
    pixel = decoded.events and not incoming.body
    return Reply(200, GIF, b"image/gif", reply.note) if pixel else reply


def refuse(error: AnalyticsError, status: int) -> Reply:
    """422 in place of 413: after a 413 trackers would send the same body again."""
    return universal.refuse(error, 422 if status == 413 else status)


SNOWPLOW = Protocol(
    "snowplow",
    {"/com.snowplowanalytics.snowplow/tp2": ("POST",), "/i": ("GET",)},
    read,
    accept,
    refuse,
    foreign=True,
)
