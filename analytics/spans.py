"""Spans of time as people write them: 90m, 24h, 30d, 12w."""

import re

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"([0-9]{1,9})([smhdw])")


def parse_span(text: str) -> int | None:
    """Seconds; None if the text is not a whole number of at most nine digits and a unit."""
    match = _SPAN.fullmatch(text)
    return int(match[1]) * _SECONDS[match[2]] if match else None
