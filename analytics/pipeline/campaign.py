"""The campaign that brought the visitor, from the parameters of the page's address."""

from urllib.parse import parse_qsl

from analytics.pipeline.page import page
from analytics.pipeline.visit import Visit

MAX_FIELDS = 200
"""A query string with more fields is not read."""

_TAGS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id")
_CLICKS = (
    "gclid",
    "gbraid",
    "wbraid",
    "dclid",
    "fbclid",
    "msclkid",
    "ttclid",
    "twclid",
    "li_fat_id",
    "yclid",
    "igshid",
)
"""Click ids that advertisers add to a URL."""

_MATOMO = {
    "campaign": "$utm_campaign",
    "source": "$utm_source",
    "medium": "$utm_medium",
    "content": "$utm_content",
    "keyword": "$utm_term",
    "kwd": "$utm_term",
}
"""Ending of `mtm_…` and `pk_…` → the fact."""

FACTS = {
    **{name: f"${name}" for name in (*_TAGS, *_CLICKS)},
    **{f"{prefix}_{name}": _MATOMO[name] for prefix in ("mtm", "pk") for name in _MATOMO},
    "source": "$utm_source",
    "ref": "$utm_source",
}
"""Parameter, in any case → the fact. The first that an address has counts."""


def put_campaign(visit: Visit) -> None:
    """`$utm_…` and the click ids, from `$url`."""
    if "?" not in visit.text("$url") or not (parts := page(visit)):
        return
    try:
        fields = parse_qsl(parts.query, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        return
    known = [(name.lower(), value) for name, value in fields if name.lower() in FACTS]
    for name, value in sorted(known, key=_rank):
        visit.put(FACTS[name], value)


_RANKS = {name: rank for rank, name in enumerate(FACTS)}


def _rank(field: tuple[str, str]) -> int:
    return _RANKS[field[0]]
