"""The page: its host and path, and the campaign that brought the visitor."""

import re
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


MAX_URL = 16_384
"""Characters of an address that is read; no browser's address bar holds a longer one."""

SITES = ("$host", "$hostname", "$domain")
"""Metadata in which protocols and SDKs send the page's host."""

FILES = frozenset(("html", "htm", "xhtml", "shtml", "php", "asp", "aspx", "jsp", "pdf", "xml"))
"""Endings with which a word that looks like a host is a file. None of them is a domain."""

_SCHEMES = ("https://", "http://")
_HOST = re.compile(
    r"(?:(?:[\w-]+\.)+([a-z][\w-]+)|(?:\d{1,3}\.){3}\d{1,3}|localhost)(?::\d{1,5})?(?=[/?#]|$)",
    re.IGNORECASE,
)
_SITE = re.compile(r"\s*([\w.-]+)(?::\d{1,5})?\s*(?:,|$)")
_MAX_SITE = 300
"""Characters in which a host must end."""


def split(url: str) -> SplitResult | None:
    """The parts of a web address with a host; its scheme may be missing. None for anything else."""
    parts = _parts(f"//{url}" if _begins_with_host(url) else url)
    return parts if parts and parts.hostname and parts.scheme in ("", "http", "https") else None


def _parts(url: str) -> SplitResult | None:
    if len(url) > MAX_URL:
        return None
    try:
        return urlsplit(url)
    except ValueError:
        return None


def host(parts: SplitResult) -> str:
    """The host in lower case, without a port and the dot of the root; "" if there is none."""
    return (parts.hostname or "").removesuffix(".")


def _begins_with_host(url: str) -> bool:
    if url.startswith(_SCHEMES):
        return False  # the usual case, first because it is fast
    match = _HOST.match(url[:_MAX_SITE])
    return match is not None and (match[1] or "").lower() not in FILES


def page(visit: Visit) -> SplitResult | None:
    """The parts of `$url`; those of a relative one have no host.

    A text that begins with neither `/` nor `?` is relative only to a site that is known.
    """
    url = visit.text("$url")
    if parts := split(url):
        return parts
    if not url.startswith(("/", "?")) and not (url and site(visit)):
        return None
    parts = _parts(url)
    return None if parts is None or parts.scheme or parts.netloc else parts


def site(visit: Visit) -> str:
    """The page's host, without a port, as the sender or `put_page` named it; "" if nobody did."""
    for name in SITES:
        if (text := visit.text(name)) and (match := _SITE.match(text[:_MAX_SITE])):
            return match[1].lower().removesuffix(".")
    return ""


def put_page(visit: Visit) -> None:
    """`$host` and `$path`, from `$url`; that of a relative one is the site's host.

    Under `$hash_mode` the fragment is part of the path, because it tells pages apart.
    """
    if parts := page(visit):
        visit.put("$host", host(parts) or site(visit))
        fragment = f"#{parts.fragment}" if parts.fragment and visit.value("$hash_mode") else ""
        visit.put("$path", "/" + parts.path.removeprefix("/") + fragment)


def put_campaign(visit: Visit) -> None:
    """`$utm_…` and the click ids, from `$url`."""
    if "?" not in visit.text("$url") or not (parts := page(visit)):
        return
    try:
        fields = parse_qsl(parts.query, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        return
    for name, value in fields:
        if name in _CAMPAIGN:
            visit.put(f"${name}", value)
