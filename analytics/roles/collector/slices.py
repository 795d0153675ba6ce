"""Runs the pipeline on a request's events in slices, between which other requests have a turn."""

import asyncio
import time
from collections.abc import Sequence

from analytics import pipeline
from analytics.events import Event

SLICE_SECONDS = 0.01
"""How long the pipeline works on one request without a turn for others."""


async def run_in_slices(
    events: list[Event], context: pipeline.Context, steps: Sequence[pipeline.Step]
) -> pipeline.Result:
    """What `pipeline.run` returns."""
    turns = pipeline.run_in_turns(events, context, steps)
    since = time.monotonic()
    while True:
        try:
            next(turns)
        except StopIteration as end:
            result: pipeline.Result = end.value
            return result
        if time.monotonic() - since > SLICE_SECONDS:
            await asyncio.sleep(0)
            since = time.monotonic()
