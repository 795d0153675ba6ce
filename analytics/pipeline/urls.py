"""Addresses of the web and of other networks, whatever their name in metadata."""

import re
from typing import Any

from analytics.pipeline.visit import Visit

_USER = re.compile(r"(\s*(?:[a-z][a-z0-9+.-]*:)?[/\\]{2,})[^\s/\\?#]+@", re.IGNORECASE)
"""An address up to the end of its user's name and password."""


def put_urls(visit: Visit) -> None:
    """Addresses without name and password: `https://ada:secret@shop.example/` is the shop's."""
    for name in visit.where(_has_at):
        value = visit.value(name)
        if (clean := _clean(value)) != value:
            visit.replace(name, clean)


def _has_at(text: bytes) -> bool:
    """Whether JSON has an `@` in it, escaped or not."""
    return b"@" in text or b"\\u0040" in text


def _clean(value: Any) -> Any:
    """A value whose texts, at any depth, are without the user of an address."""
    if isinstance(value, str):
        return _USER.sub(r"\1", value, count=1) if _USER.match(value) else value
    if isinstance(value, dict):
        return {name: _clean(inner) for name, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value
