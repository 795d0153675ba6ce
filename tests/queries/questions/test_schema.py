"""Schema against the oracle, of raw rows and of rollups; and its bounds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.questions import schema
from tests.queries import oracle_schema
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend
from tests.queries.precomputed.test_rollup_questions import several as few
from tests.queries.precomputed.test_rollup_questions import stored_and_asked
from tests.queries.questions.test_sessions import filtered, passing
from tests.queries.questions.trends.test_trends import several
from tests.queries.simple import DAYS, row
from tests.queries.storing import Batches, Storer, batches, few_or_many, rows_of
from tests.queries.streams import streams, written_filters


def expected(rows: list[Row], asked: Trend) -> Any:
    return oracle_schema.schema(
        row for row in passing(rows, asked) if asked.start <= row.timestamp < asked.end
    )


@several
@given(case=filtered())
async def test_a_schema_is_what_counting_one_by_one_says(
    asker: Asker, case: tuple[Trend, list[Row]]
) -> None:
    asked, rows = case
    await asker.hold(rows)
    answer = await asker.ask("/schema", *written_filters(asked))
    assert answer["data"] == expected(rows, asked)
    assert answer["meta"]["source"] == "raw"


@st.composite
def stored(draw: st.DrawFn) -> tuple[Trend, Batches, bool]:
    asked, _ = draw(filtered())
    return asked, draw(batches(draw(streams(asked, draw(few_or_many))))), draw(st.booleans())


@few
@given(case=stored())
async def test_a_schema_of_rollups_is_what_counting_one_by_one_says(
    storer: Storer, rather_precomputed: None, case: tuple[Trend, Batches, bool]
) -> None:
    asked, written, tended = case
    answer = await stored_and_asked(storer, written, tended, "/schema", written_filters(asked))
    assert answer["data"] == expected(rows_of(written), asked)


async def test_filters_say_what_is_looked_at(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", event="e:a", k=1),
            row("2026-11-02", event="f:a", n=None),
            row("2026-11-02", event="f:b", n=1),
        ]
    )
    data = (await asker.ask("/schema", *DAYS, ("event", "f"), ("where", "metadata.n.unset")))[
        "data"
    ]
    assert data == {
        "event_types": [{"event_type": "f", "count": 1}],
        "event_actions": [{"event_type": "f", "event_action": "a", "count": 1}],
        "metadata_keys": [{"key": "n", "count": 1}],
    }


def _ones(keys: str) -> dict[str, Any]:
    return dict.fromkeys(keys, 1)


async def test_each_list_has_its_largest_only(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MAX_ITEMS", 2)
    await asker.hold(
        [
            row("2026-11-02", event=f"{name}:{name}", **_ones(name))
            for name in ("a", "ab", "abc", "ab")
        ]
    )
    data = (await asker.ask("/schema", *DAYS))["data"]
    assert [each["event_type"] for each in data["event_types"]] == ["ab", "a"]
    assert [each["event_action"] for each in data["event_actions"]] == ["ab", "a"]
    assert [each["key"] for each in data["metadata_keys"]] == ["a", "b"]
