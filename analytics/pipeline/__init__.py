"""What happens to an event between decoding and the queue: the steps, top to bottom. No I/O.

A step is a function whose name says what it does, `drop_…` or `put_…`; the name of one that drops
is the reason, and the metric's label.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from analytics import metrics
from analytics.events import Event
from analytics.pipeline.address import put_address
from analytics.pipeline.agent import put_agent
from analytics.pipeline.bots import drop_bots
from analytics.pipeline.context import Context, Rules, context_of
from analytics.pipeline.country import put_country
from analytics.pipeline.device import put_language, put_screen
from analytics.pipeline.page import put_campaign, put_page
from analytics.pipeline.referrer import put_referrer
from analytics.pipeline.signals import drop_opted_out
from analytics.pipeline.step import DROP, Drop, Step
from analytics.pipeline.visit import Visit
from analytics.pipeline.visitor import put_visitor

STEPS: tuple[Step, ...] = (
    drop_opted_out,
    drop_bots,
    put_agent,
    put_page,
    put_campaign,
    put_referrer,
    put_language,
    put_screen,
    put_country,
    put_visitor,
    put_address,
)
"""Facts need the whole address and the visitor's agent; so what is taken away goes last."""

REASONS = {
    step.__name__: (step.__doc__ or "") for step in STEPS if step.__name__.startswith("drop_")
}
"""Why an event may be dropped, and what that means."""

__all__ = [
    "DROP",
    "REASONS",
    "STEPS",
    "Context",
    "Drop",
    "Passed",
    "Rules",
    "Step",
    "Visit",
    "context_of",
    "run",
]


class Passed(msgspec.Struct, frozen=True):
    """The events that every step let through, in order, and how many were dropped for which reason."""

    events: list[Event]
    dropped: dict[str, int] = {}

    @property
    def note(self) -> str:
        """For the header X-Analytics."""
        return "; ".join(f"{count} dropped: {reason}" for reason, count in self.dropped.items())


def run(events: list[Event], context: Context, steps: Sequence[Step] = STEPS) -> Passed:
    """Every step on every event. Where neither the request nor any event tells of a visitor, the
    very list goes on.
    """
    if not steps or (context.silent and not any(_tells(event.metadata) for event in events)):
        return Passed(events)
    kept: list[Event] = []
    dropped: Counter[str] = Counter()
    for event in events:
        if context.silent and not _tells(event.metadata):
            kept.append(event)
            continue
        visit = Visit(event, context)
        reason = _walk(visit, steps)
        if reason is None:
            kept.append(visit.close())
        else:
            dropped[reason] += 1
    for reason, count in dropped.items():
        metrics.events_dropped.add({"reason": reason}, count)
    return Passed(kept, dict(dropped))


def _tells(metadata: bytes) -> bool:
    """Whether some key may begin with `$`, however it is written."""
    return b'"$' in metadata or b'"\\u0024' in metadata


def _walk(visit: Visit, steps: Sequence[Step]) -> str | None:
    """The name of the step that drops the event."""
    for step in steps:
        if step(visit) is not None:
            return step.__name__
    return None
