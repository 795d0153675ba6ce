"""The page: its host and path, and the campaign that brought the visitor."""

from urllib.parse import SplitResult, parse_qsl, urlsplit

from analytics.pipeline.visit import Visit

TAGS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id")
CLICKS = (
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

_CAMPAIGN = frozenset((*TAGS, *CLICKS))

MAX_FIELDS = 200
"""A query string with more fields is not read."""


def split(url: str) -> SplitResult | None:
    """The parts of an absolute http(s) URL; None for anything else."""
    try:
        parts = urlsplit(url)
        return parts if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def put_page(visit: Visit) -> None:
    """`$host` and `$path`, from `$url`."""
    if (url := visit.text("$url")) and (parts := split(url)):
        visit.put("$host", parts.hostname)
        visit.put("$path", parts.path or "/")


def put_campaign(visit: Visit) -> None:
    """`$utm_…` and the click ids, from `$url`."""
    url = visit.text("$url")
    if "?" not in url or not (parts := split(url)):
        return
    try:
        fields = parse_qsl(parts.query, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        return
    for name, value in fields:
        if name in _CAMPAIGN:
            visit.put(f"${name}", value)
