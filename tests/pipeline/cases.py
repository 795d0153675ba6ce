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


def assert_puts(metadata: dict[str, Any], context: Context, expected: dict[str, Any]) -> None:
    """The steps leave these facts; None means that there is none."""
    known = facts(metadata, context)
    left = {key: known.get(key) for key in expected}
    assert left == expected, f"{left}, not {expected}"
