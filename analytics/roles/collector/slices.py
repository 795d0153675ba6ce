"""Runs the pipeline on a request's events in slices, between which other requests have a turn."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from analytics import pipeline
from analytics.events import Event

SLICE_EVENTS = 4
"""Of which each may have a user agent that takes milliseconds."""

SLICE_SECONDS = 0.01
"""How long slices follow each other without a turn for others."""


async def run_in_slices(
    events: list[Event], context: pipeline.Context, steps: Sequence[pipeline.Step]
) -> pipeline.Result:
    """What `pipeline.run` returns for all events."""
    if len(events) <= SLICE_EVENTS or not pipeline.opens(events, context, steps):
        return pipeline.run(events, context, steps)
    passed: list[Event] = []
    dropped: Counter[str] = Counter()
    since = time.monotonic()
    for start in range(0, len(events), SLICE_EVENTS):
        result = pipeline.run(events[start : start + SLICE_EVENTS], context, steps)
        passed += result.events
        dropped.update(result.dropped)
        if time.monotonic() - since > SLICE_SECONDS:
            await asyncio.sleep(0)
            since = time.monotonic()
    return pipeline.Result(passed, dict(dropped), context.budget.refused)
