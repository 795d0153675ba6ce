"""Visitors who ask not to be tracked: Global Privacy Control and Do Not Track."""

from analytics.pipeline.step import DROP, Drop
from analytics.pipeline.visit import Visit

HEADERS = {"gpc": b"sec-gpc", "dnt": b"dnt"}
"""A signal's name in HONOR_SIGNALS → the header that is `1` when it is given."""


def drop_opted_out(visit: Visit) -> Drop | None:
    """The browser sent Global Privacy Control or Do Not Track, and `HONOR_SIGNALS` names it."""
    context = visit.context
    if not context.browser:
        return None
    return (
        DROP
        if any(
            context.headers.get(HEADERS[signal], b"").strip() == b"1"
            for signal in context.rules.signals
        )
        else None
    )
