"""Sessions over time, counted from packed days."""

import pytest

from analytics.queries.questions.trends.source import RawLines
from tests.queries.simple import row
from tests.queries.storing import Storer


async def test_previous_totals_are_of_the_sessions_of_the_range_before(
    storer: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RawLines, "values", None)
    await storer.empty()
    await storer.write(
        [
            row("2026-10-01T09", "a", "s1", plan="pro"),
            row("2026-10-01T09", "b", "s2", plan="free"),
            row("2026-10-02T09", "b", "s2", plan="pro"),
            row("2026-10-02T09", "c", "s3", plan="pro"),
            row("2026-10-04T09", "d", "s4", plan="pro"),
        ]
    )
    await storer.store.compact()
    asked = [("from", "2026-10-03"), ("to", "2026-10-05"), ("measure", "sessions")]
    whole = await storer.ask("/trends", *asked, ("compare", "previous"))
    (line,) = whole["data"]["series"]
    assert (line["values"], line["total"]) == ([0, 1], 1)
    assert (line["previous"], line["previous_total"]) == ([2, 2], 3)
    by = await storer.ask("/trends", *asked, ("compare", "previous"), ("by", "metadata.plan"))
    (line,) = by["data"]["series"]
    assert (line["total"], line["previous"], line["previous_total"]) == (1, [1, 2], 3)
