"""Snowplow: its trackers' protocol 2, by POST and by GET. The table of what becomes what stands in
docs/sdks/snowplow.md.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from analytics.errors import AnalyticsError, BadRequest
from analytics.events import Event
from analytics.protocols import bodies, universal
from analytics.protocols.pixel import GIF
from analytics.protocols.protocol import Decoded, Draft, Incoming, Protocol, Reply
from analytics.protocols.translate import (
    Judge,
    Names,
    Told,
    item,
    joined,
    renamed,
    rest,
    since_epoch,
    text,
)

_KINDS = {
    "pv": ("page", "view"),
    "pp": ("track", "page_ping"),
    "tr": ("track", "transaction"),
    "ti": ("track", "transaction_item"),
}
"""Codes of events whose names are fixed → type and action."""

_STRUCTURED: Names = {"se_ca": "category", "se_la": "label", "se_pr": "property", "se_va": "value"}
_CONTEXT: Names = {
    "url": "$url", "page": "$title", "refr": "$referrer", "lang": "$language", "res": "$screen", "ua": "$user_agent", "ip": "$ip", "tz": "$timezone",
    "p": "$platform", "tv": "$lib", "aid": "$app_id",
}  # fmt: skip
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
    """An object with `data`, a list of events; or one event in the query. The key is the app's id."""
    if incoming.body.strip():
        body = bodies.mapping(bodies.json(incoming.body))
        if "data" not in body:
            raise BadRequest("the body must be an object with `data`", code="missing", field="data")
        items = bodies.batch(body["data"])
    else:
        items = [bodies.fields(incoming.query)]
    key = _key(items[0])
    return Draft(key, partial(Judge(incoming, key).decide, items, tell))


def _key(value: Any) -> str | None:
    app = text(bodies.mapping(value).get("aid"))
    return app if isinstance(app, str) else None


def tell(value: Any) -> Told:
    """One event."""
    event = item(value)
    code = event.get("e")
    schema, data = _described(_json(event, "ue_pr", "ue_px")) if code == "ue" else (None, None)
    if code == "se":
        kind, action = "track", event.get("se_ac")
    elif code == "ue":
        kind, action = "track", _named(schema)
        if action == "screen_view":
            kind, action = "screen", bodies.mapping(data).get("name") or "view"
    else:
        kind, action = (
            _KINDS.get(code, ("track", code)) if isinstance(code, str) else ("track", code)
        )
    true_time = event.get("ttm")
    return Told(
        type=kind,
        action=action,
        user=event.get("uid"),
        anonymous=event.get("duid") or event.get("tnuid") or event.get("nuid"),
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
        time=since_epoch(event.get("dtm") if true_time is None else true_time, 1000),
        sent_at=since_epoch(event.get("stm"), 1000),
        key=_key(event),
    )


def _json(event: dict[str, Any], plain: str, encoded: str) -> Any:
    """What stands in a field as JSON, or in another as base64 of it; what cannot be read stays as
    it is.
    """
    found = event.get(plain, event.get(encoded))
    try:
        return bodies.sniffed(found.encode()) if isinstance(found, str) and found else found
    except (AnalyticsError, UnicodeEncodeError):
        return found


def _described(value: Any) -> tuple[Any, Any]:
    """The schema and the data of a self-describing event, out of its envelope."""
    inner = bodies.mapping(value).get("data")
    if isinstance(inner, dict) and "schema" in inner:
        return inner["schema"], inner.get("data")
    return None, value


def _named(schema: Any) -> Any:
    found = _IGLU.fullmatch(schema) if isinstance(schema, str) else None
    return found[1] if found else schema


def _contexts(value: Any) -> Any:
    """The list of contexts, out of its envelope."""
    return bodies.mapping(value).get("data", value)


def accept(incoming: Incoming, decoded: Decoded, taken: Sequence[Event]) -> Reply:
    """An image for who asked for one."""
    full = universal.accept(incoming, decoded, taken)
    return (
        Reply(200, GIF, b"image/gif", full.note) if decoded.events and not incoming.body else full
    )


def refuse(error: AnalyticsError, status: int) -> Reply:
    """Trackers try again at 413, with the same body."""
    return universal.refuse(error, 422 if status == 413 else status)


SNOWPLOW = Protocol(
    "snowplow",
    {"/com.snowplowanalytics.snowplow/tp2": ("POST",), "/i": ("GET",)},
    read,
    accept,
    refuse,
    foreign=True,
)
