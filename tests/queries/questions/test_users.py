"""Users: against the oracle over random streams, page by page; and each rule by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.questions import users
from tests.queries import oracle_users
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend
from tests.queries.questions.test_sessions import filtered, passing
from tests.queries.questions.trends.test_trends import several
from tests.queries.simple import DAYS, row
from tests.queries.streams import written_filters

LIST, ONE, TIMELINE = "/users", "/users/{id:path}", "/users/{id:path}/timeline"


@contextmanager
def short_strides(rows: int) -> Iterator[None]:
    """Few rows a step, so that a few rows take several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "STRIDE_ROWS", rows)
        yield


async def pages(
    asker: Asker, path: str, *parameters: tuple[str, str], limit: int, **inside: Any
) -> list[Any]:
    """The rows of all pages."""
    rows: list[Any] = []
    cursor: list[tuple[str, str]] = []
    while True:
        page = (await asker.ask(path, *parameters, ("limit", str(limit)), *cursor, **inside))[
            "data"
        ]
        rows += page["rows"]
        if page["next"] is None:
            return rows
        assert len(page["rows"]) == limit
        cursor = [("cursor", page["next"])]


def read(user: dict[str, Any]) -> dict[str, Any]:
    return {
        **user,
        **{name: datetime.fromisoformat(user[name]) for name in ("first_seen", "last_seen")},
    }


@several
@given(case=filtered(), limit=st.integers(1, 4), stride=st.integers(1, 4))
async def test_pages_hold_everybody_once_last_seen_first(
    asker: Asker, case: tuple[Trend, list[Row]], limit: int, stride: int
) -> None:
    asked, rows = case
    await asker.hold(rows)
    there = [row for row in passing(rows, asked) if asked.start <= row.timestamp < asked.end]
    expected = oracle_users.users(there)
    with short_strides(stride):
        people = await pages(asker, LIST, *written_filters(asked), limit=limit)
    assert [read(user) for user in people] == expected
    for user in expected[:2]:
        data = (await asker.ask(ONE, *written_filters(asked), id=user["id"]))["data"]
        assert ([read(one) for one in data["rows"]], data["next"]) == ([user], None)
        timeline = await pages(asker, TIMELINE, *written_filters(asked), limit=limit, id=user["id"])
        assert [event["id"] for event in timeline] == [
            str(row.id) for row in oracle_users.timeline(there, user["id"])
        ]


async def test_a_person_is_described_by_the_rows_in_the_range_that_pass_the_filters(
    asker: Asker,
) -> None:
    rows = [
        row("2026-11-01", "u"),
        row("2026-11-02T10:00", "u", "a"),
        row("2026-11-03", "u", "b", k=1),
        row("2026-11-04", "u", "b"),
        row("2026-11-05", "u", "c"),
    ]
    await asker.hold(rows)
    user = {
        "id": "u",
        "user_id": "u",
        "first_seen": "2026-11-02T10:00:00Z",
        "last_seen": "2026-11-04T00:00:00Z",
        "events": 3,
        "sessions": 2,
    }
    assert (await asker.ask(LIST, *DAYS))["data"] == {"rows": [user], "next": None}
    assert (await asker.ask(ONE, *DAYS, id="u"))["data"] == {"rows": [user], "next": None}
    (filtered,) = (await asker.ask(LIST, *DAYS, ("where", "metadata.k.set")))["data"]["rows"]
    assert (filtered["events"], filtered["sessions"], filtered["first_seen"]) == (
        1,
        1,
        "2026-11-03T00:00:00Z",
    )


async def test_a_session_without_a_user_is_a_person_too(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-02", None, "s"), row("2026-11-03", "u", "s"), row("2026-11-03", None, "u")]
    )
    rows = (await asker.ask(LIST, *DAYS))["data"]["rows"]
    assert [(user["id"], user["user_id"], user["events"], user["sessions"]) for user in rows] == [
        ("u", "u", 2, 2),
        ("s", None, 1, 1),
    ]
    assert len((await asker.ask(TIMELINE, *DAYS, id="s"))["data"]["rows"]) == 1
    assert len((await asker.ask(TIMELINE, *DAYS, id="u"))["data"]["rows"]) == 2


async def test_who_was_last_seen_at_the_same_instant_is_divided_between_pages_by_id(
    asker: Asker,
) -> None:
    names = ["é", "Z", "a", "\uffff", "😀", "b"]
    await asker.hold([row("2026-11-02", name) for name in names] + [row("2026-11-03", "a")])
    for limit in (1, 2, 3, 6):
        assert [user["id"] for user in await pages(asker, LIST, *DAYS, limit=limit)] == [
            "a",
            "Z",
            "b",
            "é",
            "\uffff",
            "😀",
        ]


async def test_who_is_on_an_earlier_page_does_not_come_again(asker: Asker) -> None:
    await asker.hold(
        [row(f"2026-11-0{day}T12:00:0{at}", f"u{at}") for day in (2, 3, 4) for at in range(5)]
    )
    with short_strides(2):
        assert [user["id"] for user in await pages(asker, LIST, *DAYS, limit=2)] == [
            "u4",
            "u3",
            "u2",
            "u1",
            "u0",
        ]


async def test_a_person_who_was_not_seen_is_an_empty_page(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", "u")], project="shop")
    inside: Any
    for path, inside in ((LIST, {}), (ONE, {"id": "u"}), (TIMELINE, {"id": "u"})):
        assert (await asker.ask(path, *DAYS, **inside))["data"] == {"rows": [], "next": None}


async def test_a_timeline_shows_events_as_they_were_sent(asker: Asker) -> None:
    sent = row("2026-11-02T10:00:00.123456", "u", "s", "view:page", page="/é")
    await asker.hold([sent, row("2026-11-02", "v")])
    (event,) = (await asker.ask(TIMELINE, *DAYS, id="u"))["data"]["rows"]
    assert (event["id"], event["event_type"], event["metadata"]) == (
        str(sent.id),
        "view",
        {"page": "/é"},
    )
