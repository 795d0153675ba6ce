"""Matomo: its tracking HTTP API. docs/sdks/matomo.md maps its parameters.

A request is one action in a query string or a form, or a list of query strings.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from analytics.events import Event
from analytics.protocols import bodies, numbers, universal
from analytics.protocols.fields import (
    Names,
    item,
    joined,
    renamed,
    rest,
    text,
)
from analytics.protocols.ids import first_id
from analytics.protocols.pixel import GIF
from analytics.protocols.protocol import (
    MAX_INDICES,
    Decoded,
    Draft,
    EventError,
    Incoming,
    Protocol,
    Reply,
)
from analytics.protocols.times import since_epoch
from analytics.protocols.translate import Translation, Translator

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
"""The parameter that says a request is not a page view → its action and properties.

The first that a request has decides.
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
_NUMBERS = (
    *("revenue", "e_v", "search_count", "ec_st", "ec_tx", "ec_sh", "ec_dt", "_pkp", "_idvc"),
    *("gt_ms", "pf_net", "pf_srv", "pf_tfr", "pf_dm1", "pf_dm2", "pf_onl", "bw_bytes"),
    *("ma_le", "ma_ps", "ma_ttp", "ma_w", "ma_h"),
)
_USED = ("idsite", "rec", "apiv", "send_image", "token_auth", "uid", "_id", "cid", "cdt", "e_a")


def read(incoming: Incoming) -> Draft:
    """A query string, a form, or an object with `requests`. The key is each site's number."""
    if incoming.body.lstrip()[:1] == b"{":
        requests = bodies.batch(bodies.mapping(bodies.json(incoming.body)).get("requests", []))
        items = bodies.queries(requests)
    else:
        items = [_fields(incoming)]
    return Translator(incoming).draft(items, translate, _key)


def _fields(incoming: Incoming) -> dict[str, str]:
    """One action's: those of a form stand before those of the query string."""
    return bodies.fields(incoming.query) | bodies.fields(incoming.body.strip())


def _key(value: Any) -> str | None:
    site = text(bodies.mapping(value).get("idsite"))
    return site if isinstance(site, str) else None


def translate(value: Any) -> Translation:
    """One action."""
    action = numbers.within(item(value), _NUMBERS)
    if not (action.get("idsite") or action.get("rec")):
        raise EventError("missing", "idsite", "neither idsite nor rec=1: this is not an action")
    kind = next((name for name in _KINDS if action.get(name)), None)
    name, properties = _KINDS[kind] if kind else ("view", {})
    return Translation(
        type="track" if kind else "page",
        action=name or action.get("e_a"),
        user=action.get("uid"),
        anonymous=first_id(action.get("_id"), action.get("cid")),
        properties=renamed(action, properties),
        context=joined(rest(action, (*_USED, *_CONTEXT, *properties)), renamed(action, _CONTEXT)),
        time=since_epoch(action.get("cdt"), 1),  # a date and time stays as it is
    )


def accept(incoming: Incoming, decoded: Decoded, accepted: Sequence[Event]) -> Reply:
    """For a list, how many were accepted; for one action an image, or nothing on request."""
    note = universal.note(decoded.rejected)
    if not decoded.events:
        return universal.refuse_all(decoded)
    if incoming.body.lstrip()[:1] == b"{":
        body: dict[str, Any] = {
            "status": "success",
            "tracked": len(accepted),
            "invalid": len(decoded.rejected),
            "invalid_indices": [one.index for one in decoded.rejected[:MAX_INDICES]],
        }
        if decoded.dropped:
            body["dropped"] = decoded.dropped
        return Reply(200, msgspec.json.encode(body), note=note)
    no_image = _fields(incoming).get("send_image") == "0"
    return Reply(204, b"") if no_image else Reply(200, GIF, b"image/gif")


MATOMO = Protocol(
    "matomo",
    dict.fromkeys(("/matomo.php", "/piwik.php"), ("GET", "POST")),
    read,
    accept,
    universal.refuse,
    foreign=True,
)
