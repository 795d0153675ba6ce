"""Visitors who ask not to be tracked, as the operator honours it."""

from typing import Any

import pytest

from analytics import pipeline
from analytics.pipeline import Context, Rules
from analytics.settings import load
from tests.collecting import GOOD, running
from tests.visits import CHROME, browsing, event


@pytest.mark.parametrize(
    ("context", "metadata", "reason"),
    [
        (browsing(dnt="1"), {}, "drop_opted_out"),
        (browsing(sec_gpc="1"), {}, "drop_opted_out"),
        (browsing(Rules(signals=("gpc",)), dnt="1"), {}, None),
        (browsing(dnt="0"), {}, None),
    ],
)
def test_a_step_drops(context: Context, metadata: dict[str, Any], reason: str | None) -> None:
    passed = pipeline.run([event(metadata)], context)
    assert passed.dropped == ({reason: 1} if reason else {})
    assert len(passed.events) == (0 if reason else 1)


@pytest.mark.parametrize(
    ("honoured", "header", "kept"),
    [
        ("gpc,dnt", "sec_gpc", False),
        ("gpc,dnt", "dnt", False),
        ("gpc", "sec_gpc", False),
        ("gpc", "dnt", True),
        ("dnt", "sec_gpc", True),
        ("dnt", "dnt", False),
        ("none", "sec_gpc", True),
        ("none", "dnt", True),
    ],
)
async def test_a_visitors_wish_is_honoured_as_the_operator_set(
    honoured: str, header: str, kept: bool
) -> None:
    rules = load({"HONOR_SIGNALS": honoured})
    async with running(honor_signals=rules.honor_signals) as client:
        answer = await client.send_events(
            GOOD, origin="https://shop.example", user_agent=CHROME, **{header: "1"}
        )
        assert (answer.status_code, len(client.sink.events)) == (202, 1 if kept else 0)
        assert answer.headers.get("x-analytics") == (None if kept else "1 dropped: drop_opted_out")
