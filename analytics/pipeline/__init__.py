"""What happens to an event between decoding and the queue: the steps, top to bottom. No I/O.

A step is a function whose name says what it does: `drop_…` or `put_…`. The name of a step that
drops events is also the reason, in X-Analytics and in the metrics. Slow lookups of user agents and
host names (`host.py`) have a budget (`lookups.py`).
"""

from collections import Counter
from collections.abc import Generator, Sequence

import msgspec

from analytics import metrics
from analytics.events import Event, bound_bytes
from analytics.pipeline.address import put_address
from analytics.pipeline.agent import put_agent
from analytics.pipeline.bots import drop_bots
from analytics.pipeline.campaign import put_campaign
from analytics.pipeline.context import Context, Rules, context_of
from analytics.pipeline.country import put_country
from analytics.pipeline.device import put_language, put_screen
from analytics.pipeline.page import put_page
from analytics.pipeline.referrer import put_referrer
from analytics.pipeline.signals import drop_opted_out
from analytics.pipeline.step import DROP, Drop, Step
from analytics.pipeline.urls import put_urls
from analytics.pipeline.visit import Visit
from analytics.pipeline.visitor import put_visitor

STEPS: tuple[Step, ...] = (
    drop_opted_out,
    drop_bots,
    put_agent,
    put_urls,
    put_page,
    put_campaign,
    put_referrer,
    put_language,
    put_screen,
    put_country,
    put_visitor,
    put_address,
)
"""`put_address` is last, because it removes or cuts the address that earlier steps need."""

REASONS = {
    step.__name__: " ".join((step.__doc__ or "").split())
    for step in STEPS
    if step.__name__.startswith("drop_")
}
"""Why events are dropped: the name of a step → its meaning."""

__all__ = [
    "DROP",
    "REASONS",
    "STEPS",
    "Context",
    "Drop",
    "Result",
    "Rules",
    "Step",
    "Visit",
    "context_of",
    "run",
    "run_in_turns",
]


class Result(msgspec.Struct, frozen=True):
    """The events that no step dropped, in order, and how many were dropped for each reason."""

    events: list[Event]
    dropped: dict[str, int] = {}
    without_browser: int = 0
    """Events whose user agent was not looked up: their request had too many new ones."""
    without_host: bool = False
    """Whether some host was not looked up, for the same reason."""

    @property
    def note(self) -> str:
        """What was dropped or left out, for the header X-Analytics."""
        notes = [f"{count} dropped: {reason}" for reason, count in self.dropped.items()]
        if self.without_browser:
            notes.append(f"{self.without_browser} without $browser: too many new user agents")
        if self.without_host:
            notes.append("some without $host or $referrer_domain: too many new host names")
        return "; ".join(notes)


def run(events: list[Event], context: Context, steps: Sequence[Step] = STEPS) -> Result:
    """Every step on every event.

    An event is not even opened if neither it nor the request has facts about a visitor.
    """
    turns = run_in_turns(events, context, steps)
    while True:
        try:
            next(turns)
        except StopIteration as end:
            result: Result = end.value
            return result


def run_in_turns(
    events: list[Event], context: Context, steps: Sequence[Step]
) -> Generator[None, None, Result]:
    """The same, with a turn for others after each event that was opened.

    Raises TooLarge where the steps would put too much into the events.
    """
    if not steps or (context.silent and not any(_has_facts(event) for event in events)):
        return Result(events)
    passed: list[Event] = []
    dropped: Counter[str] = Counter()
    size = 0
    for event in events:
        if context.silent and not _has_facts(event):
            passed.append(event)
            continue
        visit = Visit(event, context)
        reason = _walk(visit, steps)
        if reason is None:
            passed.append(visit.close())
            size += len(passed[-1].metadata)
            bound_bytes(size)
        else:
            dropped[reason] += 1
        yield
    for reason, count in dropped.items():
        metrics.events_dropped.add({"reason": reason}, count)
    return Result(passed, dict(dropped), context.budget.refused, context.host_budget.exceeded)


def _has_facts(event: Event) -> bool:
    """Whether some key of the metadata may start with `$`, escaped or not."""
    return b'"$' in event.metadata or b'"\\u0024' in event.metadata


def _walk(visit: Visit, steps: Sequence[Step]) -> str | None:
    """Take all steps; the name of the step that dropped the event, if one did."""
    for step in steps:
        if step(visit) is not None:
            return step.__name__
    return None
