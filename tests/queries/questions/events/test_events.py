"""Events page by page."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.queries import oracle
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend
from tests.queries.questions.trends.test_trends import several
from tests.queries.simple import DAYS, row
from tests.queries.streams import questions, streams, written_filters


@st.composite
def cases(draw: st.DrawFn) -> tuple[Trend, list[Row], int]:
    asked = replace(draw(questions()), by=None, compare=False, rolling=1)
    asked = draw(st.sampled_from([asked, replace(asked, pairs=((None, None),), where=())]))
    return asked, draw(streams(asked)), draw(st.integers(1, 5))


@several
@given(case=cases())
async def test_pages_hold_every_row_once_newest_first(
    asker: Asker, case: tuple[Trend, list[Row], int]
) -> None:
    asked, rows, limit = case
    await asker.hold(rows)
    ids: list[UUID] = []
    cursor: list[tuple[str, str]] = []
    while True:
        page = (
            await asker.ask("/events", *written_filters(asked), ("limit", str(limit)), *cursor)
        )["data"]
        ids += [UUID(event["id"]) for event in page["rows"]]
        if page["next"] is None:
            break
        assert len(page["rows"]) == limit
        cursor = [("cursor", page["next"])]
    assert ids == oracle.events(rows, asked.start, asked.end, asked.pairs, asked.where)


@pytest.mark.parametrize("limit", [1, 2, 3, 8])
async def test_rows_of_one_instant_are_divided_between_pages_by_their_ids(
    asker: Asker, limit: int
) -> None:
    rows = [row("2026-11-02T10:00:00.000001") for _ in range(8)]
    await asker.hold(sorted(rows, key=lambda row: row.id.int % 3))
    ids: list[str] = []
    cursor: list[tuple[str, str]] = []
    while not ids or cursor:
        page = (await asker.ask("/events", *DAYS, ("limit", str(limit)), *cursor))["data"]
        ids += [event["id"] for event in page["rows"]]
        cursor = [("cursor", page["next"])] if page["next"] else []
    assert ids == [str(row.id) for row in reversed(rows)]


async def test_a_row_is_shown_as_it_was_sent(asker: Asker) -> None:
    sent = row(
        "2026-11-02T10:00:00.123456",
        None,
        "s",
        "view:page",
        page="/é",
        n=1.5,
        deep={"a": [None, True]},
    )
    await asker.hold([sent])
    (shown,) = (await asker.ask("/events", *DAYS))["data"]["rows"]
    assert datetime.fromisoformat(shown.pop("created_at")).tzinfo is not None
    assert shown == {
        "id": str(sent.id),
        "project": "default",
        "session_id": "s",
        "user_id": None,
        "event_type": "view",
        "event_action": "page",
        "metadata": {"page": "/é", "n": 1.5, "deep": {"a": [None, True]}},
        "timestamp": "2026-11-02T10:00:00.123456Z",
    }


async def test_a_row_that_comes_late_does_not_shift_the_pages_after_it(asker: Asker) -> None:
    first = datetime.fromisoformat("2026-11-02T10:00:00+00:00")
    rows = [row((first + timedelta(seconds=at)).isoformat()) for at in range(4)]
    await asker.hold(rows)
    page = (await asker.ask("/events", *DAYS, ("limit", "2")))["data"]
    await asker.add([row((first + timedelta(seconds=9)).isoformat())])
    second = (await asker.ask("/events", *DAYS, ("limit", "2"), ("cursor", page["next"])))["data"]
    assert [event["id"] for event in second["rows"]] == [str(rows[1].id), str(rows[0].id)]
    assert second["next"] is None


async def test_rows_of_another_project_are_not_shown(asker: Asker) -> None:
    await asker.hold([row("2026-11-02")], project="shop")
    assert (await asker.ask("/events", *DAYS))["data"]["rows"] == []
    assert len((await asker.ask("/events", *DAYS, ("project", "shop")))["data"]["rows"]) == 1
    assert (await asker.ask("/trends", *DAYS))["data"]["series"][0]["total"] == 0
