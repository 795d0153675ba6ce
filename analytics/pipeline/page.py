"""The page: its host and path."""

import re
from urllib.parse import SplitResult, urlsplit

from analytics.pipeline.host import canonical
from analytics.pipeline.visit import Visit

MAX_URL = 16_384
"""Characters of an address that is read; no browser's address bar holds a longer one."""

SITES = ("$host", "$hostname", "$domain")
"""Metadata in which protocols and SDKs send the page's host."""

FILES = frozenset(("html", "htm", "xhtml", "shtml", "php", "asp", "aspx", "jsp", "pdf", "xml"))
"""Endings with which a word that looks like a host is a file. None of them is a domain."""

_SCHEMES = ("https://", "http://")
_OTHERS = r"\x80-\U0010ffff"
"""Characters of other scripts: in hosts they may be marks, which `\\w` leaves out."""
_HOST = re.compile(
    rf"(?:(?:[\w{_OTHERS}-]+\.)+([a-z{_OTHERS}][\w{_OTHERS}-]+)|(?:\d{{1,3}}\.){{3}}\d{{1,3}}"
    r"|localhost)(?::\d{1,5})?(?=[/?#]|$)",
    re.IGNORECASE,
)
_SITE = re.compile(rf"\s*([\w{_OTHERS}.-]+)(?::\d{{1,5}})?\s*(?:,|$)")
_MAX_SITE = 300
"""Characters in which a host must end."""

_LONG_SITE = re.compile(rf"[^/?#]*/[\t\r\n]*/[^/?#]{{{_MAX_SITE}}}")
"""An address whose host does not, nor what stands before it. (Readers leave out line feeds.)"""


def split(url: str) -> SplitResult | None:
    """The parts of a web address with a host; its scheme may be missing. None for anything else."""
    parts = _parts(f"//{url}" if _begins_with_host(url) else url)
    return parts if parts and parts.hostname and parts.scheme in ("", "http", "https") else None


def _parts(url: str) -> SplitResult | None:
    # the normal form of a host, which only other scripts need, takes quadratic time
    if len(url) > MAX_URL or (not url.isascii() and _LONG_SITE.match(url)):
        return None
    try:
        return urlsplit(url)
    except ValueError:
        return None


def host(visit: Visit, parts: SplitResult) -> str:
    """The host in its canonical form, without a port; "" if there is none."""
    return canonical(visit, parts.hostname or "")


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
            return canonical(visit, match[1])
    return ""


def put_page(visit: Visit) -> None:
    """`$host` and `$path`, from `$url`; that of a relative one is the site's host.

    Under `$hash_mode` the fragment is part of the path, because it tells pages apart.
    """
    if parts := page(visit):
        visit.put("$host", host(visit, parts) or site(visit))
        fragment = f"#{parts.fragment}" if parts.fragment and visit.value("$hash_mode") else ""
        visit.put("$path", "/" + parts.path.removeprefix("/") + fragment)
