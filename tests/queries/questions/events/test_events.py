"""Events page by page."""

import tracemalloc
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.questions.events import events
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
@given(case=cases(), bytes_=st.sampled_from([10**6, 10**6, 40, 1]))
async def test_pages_hold_every_row_once_newest_first(
    asker: Asker, case: tuple[Trend, list[Row], int], bytes_: int
) -> None:
    asked, rows, limit = case
    await asker.hold(rows)
    ids: list[UUID] = []
    cursor: list[tuple[str, str]] = []
    while True:
        with patch.object(events, "PAGE_BYTES", bytes_):
            page = (
                await asker.ask("/events", *written_filters(asked), ("limit", str(limit)), *cursor)
            )["data"]
        ids += [UUID(event["id"]) for event in page["rows"]]
        if page["next"] is None:
            break
        assert len(page["rows"]) == limit or 0 < len(page["rows"]) < limit > bytes_ / 100
        cursor = [("cursor", page["next"])]
    assert ids == oracle.events(rows, asked.start, asked.end, asked.pairs, asked.where)


TIMELINE = "/users/{id:path}/timeline"


@pytest.mark.parametrize("filters", [[], [("where", "metadata.k.set")], None])
async def test_a_page_ends_after_so_many_bytes_and_the_next_goes_on(
    asker: Asker, filters: list[tuple[str, str]] | None
) -> None:
    sizes = [10, 2_000, 10, 2_000, 10, 700, 700, 700, 10, 10]
    await asker.hold(
        row(f"2026-11-0{2 + at % 3}T10:00:0{9 - at}", "u", k="é" * (size // 2))
        for at, size in enumerate(sorted(sizes))
    )
    path = TIMELINE if filters is None else "/events"
    inside: dict[str, Any] = {"id": "u"} if filters is None else {}
    pages: list[list[int]] = []
    cursor: list[tuple[str, str]] = []
    while not pages or cursor:
        with patch.object(events, "PAGE_BYTES", 1_000):
            asked = (*DAYS, *(filters or ()), *cursor)
            page = (await asker.ask(path, *asked, **inside))["data"]
        pages.append([len(event["metadata"]["k"]) * 2 for event in page["rows"]])
        cursor = [("cursor", page["next"])] if page["next"] else []
    assert sorted(size for page in pages for size in page) == sorted(sizes)
    assert all(sum(page[:-1]) < 1_000 for page in pages)
    assert all(sum(page) > 950 for page in pages[:-1])
    assert len(pages) > 2


async def test_a_page_of_large_events_costs_as_little_as_one_of_small_ones(asker: Asker) -> None:
    """10 MB each, which PostgreSQL stores as a hundredth."""
    await asker.hold(row(f"2026-11-02T10:00:{at:02}", k="x" * 10_000_000) for at in range(20))
    tracemalloc.start()
    try:
        page = (await asker.ask("/events", *DAYS, ("limit", "1000")))["data"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(page["rows"]), page["next"] is None) == (1, False)
    assert peak < 120_000_000, "the row, and the one that says that there are more"


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
