"""Cases of the steps, and what all steps together make of an event."""

import json
from typing import Any

from analytics import pipeline
from analytics.pipeline import Context
from tests.visits import event

Cases = dict[str, tuple[dict[str, Any], Context, dict[str, Any]]]
"""A case by its name: what the sender said, the request, and facts as they are afterwards."""


def facts(metadata: dict[str, Any] | bytes, context: Context) -> dict[str, Any]:
    [passed] = pipeline.run([event(metadata)], context).events
    known: dict[str, Any] = json.loads(passed.metadata)
    return known
