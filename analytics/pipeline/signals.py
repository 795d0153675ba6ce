"""Visitors who ask not to be tracked: Global Privacy Control and Do Not Track."""

from analytics.pipeline.step import DROP, Drop
from analytics.pipeline.visit import Visit

HEADERS = {"gpc": b"sec-gpc", "dnt": b"dnt"}
"""Signal as in HONOR_SIGNALS → the header that is `1` when the visitor gives it."""


def drop_opted_out(visit: Visit) -> Drop | None:
    """The browser sent Global Privacy Control or Do Not Track, and `HONOR_SIGNALS` names it."""
    context = visit.context
    if not context.browser:
        return None
    values = (context.headers.get(HEADERS[signal], b"") for signal in context.rules.signals)
    return DROP if any(value.strip() == b"1" for value in values) else None
