"""Matomo: its tracking HTTP API, one action in a query or a form, or many in a list of queries. The
table stands in docs/sdks/matomo.md.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from analytics.events import Event
from analytics.protocols import bodies, universal
from analytics.protocols.pixel import GIF
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
    text,
)

_KINDS: dict[str, tuple[str, Names]] = {
    "e_a": ("", {"e_c": "category", "e_n": "name", "e_v": "value"}),
    "search": ("search", {"search": "keyword", "search_cat": "category", "search_count": "count"}),
    "ec_id": ("order", {"ec_id": "order", "revenue": "revenue"}),
    "idgoal": ("goal", {"idgoal": "goal", "revenue": "revenue"}),
    "download": ("download", {"download": "file"}),
    "link": ("outlink", {"link": "target"}),
    "c_n": ("content", {"c_n": "content", "c_p": "piece", "c_t": "target", "c_i": "interaction"}),
    "ping": ("ping", {}),
}
"""The parameter that makes a request something else than a page view → its action, and the
properties that go with it; in order of precedence.
"""

_CONTEXT: Names = {
    "url": "$url",
    "action_name": "$title",
    "urlref": "$referrer",
    "lang": "$language",
    "res": "$screen",
    "ua": "$user_agent",
    "cip": "$ip",
}
_USED = ("idsite", "rec", "apiv", "send_image", "token_auth", "uid", "_id", "cid", "cdt", "e_a")


def read(incoming: Incoming) -> Draft:
    """A query, a form, or an object with `requests`. The key is the site's number."""
    if incoming.body.lstrip()[:1] == b"{":
        requests = bodies.batch(bodies.mapping(bodies.json(incoming.body)).get("requests", []))
        items = [
            bodies.fields(each.lstrip("?").encode(errors="surrogatepass"))
            if isinstance(each, str)
            else each
            for each in requests
        ]
    else:
        items = [bodies.fields(incoming.query) | bodies.fields(incoming.body.strip())]
    key = _key(items[0])
    return Draft(key, partial(Judge(incoming, key).decide, items, tell))


def _key(value: Any) -> str | None:
    site = text(bodies.mapping(value).get("idsite"))
    return site if isinstance(site, str) else None


def tell(value: Any) -> Told:
    """One action."""
    action = item(value)
    if not action.get("idsite"):
        raise Fault("missing", "idsite", "idsite is missing")
    mark = next((name for name in _KINDS if action.get(name)), None)
    name, properties = _KINDS[mark] if mark else ("view", {})
    time = action.get("cdt")
    return Told(
        type="track" if mark else "page",
        action=name or action.get("e_a"),
        user=action.get("uid"),
        anonymous=action.get("_id") or action.get("cid"),
        properties=renamed(action, properties),
        context=joined(rest(action, (*_USED, *_CONTEXT, *properties)), renamed(action, _CONTEXT)),
        time=since_epoch(time, 1)
        if isinstance(time, int) or (isinstance(time, str) and time.isascii() and time.isdigit())
        else time,
        key=_key(action),
    )


def accept(incoming: Incoming, decoded: Decoded, _: Sequence[Event]) -> Reply:
    """For many actions how many; for one an image, or nothing if none is wanted."""
    note = universal.note(decoded.rejected)
    if not decoded.events:
        return universal.refuse_all(decoded.rejected)
    if incoming.body.lstrip()[:1] == b"{":
        body = {
            "status": "success",
            "tracked": len(decoded.events),
            "invalid": len(decoded.rejected),
            "invalid_indices": [each.index for each in decoded.rejected],
        }
        return Reply(200, msgspec.json.encode(body), note=note)
    asked = bodies.fields(incoming.query) | bodies.fields(incoming.body)
    return Reply(204, b"") if asked.get("send_image") == "0" else Reply(200, GIF, b"image/gif")


MATOMO = Protocol(
    "matomo",
    dict.fromkeys(("/matomo.php", "/piwik.php"), ("GET", "POST")),
    read,
    accept,
    universal.refuse,
    foreign=True,
)
