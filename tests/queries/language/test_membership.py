"""Units: sessions that nobody tells, made of silence; the same whoever asks, however, and in
whatever order the events came.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.database.snapshot import open_engine
from analytics.settings import Settings
from dashboards import build
from tests.examples import examples
from tests.queries.asker import Asker
from tests.queries.oracle import SILENCE, Row
from tests.queries.simple import DAYS, one, row

TICK = timedelta(microseconds=1)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def silent(
    *at: timedelta, user: str | None = "ada", session: str = "$none", **metadata: Any
) -> list[Row]:
    """Events so long after noon that tell no session."""
    return [row((NOON + each).isoformat(), user, session, **metadata) for each in at]


def minutes(*at: float) -> list[timedelta]:
    return [timedelta(minutes=each) for each in at]


async def sessions(asker: Asker, *parameters: tuple[str, str]) -> int:
    """How many there are, as every question that counts them says."""
    count = (await asker.ask("/sessions", *DAYS, *parameters))["data"]["sessions"]
    trend = (await one(asker, ("measure", "sessions"), *parameters))["total"]
    table = (
        await asker.ask(
            "/breakdown", *DAYS, ("by", "metadata.same"), ("measure", "count,sessions"), *parameters
        )
    )["data"]["rows"]
    funnel = (
        await asker.ask(
            "/funnel", *DAYS, ("step", "*"), ("step", "never"), ("unit", "session"), *parameters
        )
    )["data"]["steps"][0]["n"]
    assert [trend, sum(row[2] for row in table), funnel] == [count] * 3
    return int(count)


async def test_thirty_minutes_of_silence_do_not_end_a_session_and_a_tick_more_does(
    asker: Asker,
) -> None:
    await asker.hold(silent(timedelta(0), SILENCE, 2 * SILENCE))
    assert await sessions(asker) == 1
    await asker.hold(silent(timedelta(0), SILENCE, 2 * SILENCE + TICK))
    assert await sessions(asker) == 2


async def test_silence_is_that_of_one_person(asker: Asker) -> None:
    await asker.hold([*silent(*minutes(0, 40)), *silent(*minutes(20), user="ben")])
    assert await sessions(asker) == 3


async def test_who_is_known_by_a_hash_alone_has_sessions_too_and_nobody_has_those_of_all(
    asker: Asker,
) -> None:
    await asker.hold(
        [
            *silent(*minutes(0, 20, 60), user=None, session="$3f"),
            *silent(*minutes(10), user=None, session="$4a"),
        ]
    )
    assert await sessions(asker) == 3
    await asker.hold(silent(*minutes(0, 20, 40), user=None, session="$nobody"))
    assert await sessions(asker) == 1


async def test_a_session_that_is_told_is_what_it_is_and_ends_no_silence(asker: Asker) -> None:
    told = [
        row("2026-11-02T12:00", "ada", "s"),
        row("2026-11-02T12:20", "ada", "s"),
        row("2026-11-03T23:00", "ada", "s"),
    ]
    await asker.hold([*told, *silent(*minutes(0, 40))])
    assert await sessions(asker) == 3


async def test_a_late_event_makes_one_session_of_two(asker: Asker) -> None:
    await asker.hold(silent(*minutes(0, 40)))
    assert await sessions(asker) == 2
    await asker.add(silent(*minutes(20)))
    assert await sessions(asker) == 1


async def test_filters_come_first_and_silence_is_between_what_is_left(asker: Asker) -> None:
    await asker.hold([*silent(*minutes(0, 40), k="a"), *silent(*minutes(20), k="b")])
    assert await sessions(asker) == 1
    assert await sessions(asker, ("where", "metadata.k.eq.a")) == 2


async def test_what_a_funnel_does_not_step_on_is_no_silence(asker: Asker) -> None:
    moves = [
        *silent(*minutes(0), event="a:x"),
        *silent(*minutes(20), event="b:x"),
        *silent(*minutes(40), event="c:x"),
    ]
    await asker.hold(moves)
    steps = (await asker.ask("/funnel", *DAYS, ("step", "a"), ("step", "c"), ("unit", "session")))[
        "data"
    ]["steps"]
    assert [step["n"] for step in steps] == [1, 1]
    asked = [*DAYS, ("by", "metadata.k"), ("unit", "session"), ("start", "a")]
    await asker.hold(
        [
            replace(move, metadata={"k": move.event_type} if move.event_type != "b" else {})
            for move in moves
        ]
    )
    assert (await asker.ask("/paths", *asked))["data"]["links"] == [
        {"step": 1, "from": "a", "to": "c", "n": 1}
    ]


async def test_one_that_began_before_the_range_is_in_it_what_is_left_of_it(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-01T23:50", "ada", "$none"),
            row("2026-11-02T00:10", "ada", "$none"),
            row("2026-11-02T00:30", "ada", "$none"),
        ]
    )
    data = (await asker.ask("/sessions", *DAYS))["data"]
    assert (
        data["sessions"],
        data["bounce_rate"],
        data["avg_s"],
        data["series"]["sessions"],
    ) == (1, 0, 1200, [1, 0, 0])


async def test_a_session_counts_in_every_bucket_that_it_is_in_and_once_in_all(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-02T23:50", "ada", "$none"), row("2026-11-03T00:10", "ada", "$none")]
    )
    item = await one(asker, ("measure", "sessions"))
    assert (item["values"], item["total"]) == ([1, 1, 0], 1)
    assert (await one(asker, ("measure", "sessions"), ("rolling", "2")))["values"] == [1, 1, 1]


async def test_no_name_or_id_is_taken_for_a_session_that_was_made(asker: Asker) -> None:
    """Whatever anybody calls themselves: the name of a derived session is longer than any id."""
    made = "2026-11-02 12:00:00+00"
    await asker.hold(
        [
            *silent(*minutes(0)),
            row("2026-11-02T12:00", "ada", f"{made:<60}ada"),
            row("2026-11-02T12:00", "ben", made),
        ]
    )
    assert await sessions(asker) == 3


async def test_the_same_name_in_another_project_is_somebody_else(asker: Asker) -> None:
    await asker.hold(silent(*minutes(0, 40)))
    await asker.add(silent(*minutes(20)), project="shop")
    assert (await sessions(asker), await sessions(asker, ("project", "shop"))) == (2, 1)


@st.composite
def crowds(draw: st.DrawFn) -> list[Row]:
    """Events of a few people, many of them exactly half an hour apart or at one instant; some tell
    a session.
    """
    at = st.integers(0, 6).map(lambda step: step * SILENCE) | st.integers(0, 6).map(
        lambda step: step * (SILENCE + TICK)
    )
    who = st.sampled_from(
        [("ada", "$none"), ("ben", "$none"), (None, "$3f"), ("ada", "s"), (None, "ada")]
    )
    events = draw(st.lists(st.tuples(at, who), min_size=1, max_size=25))
    return [
        one for each, (user, session) in events for one in silent(each, user=user, session=session)
    ]


@examples(25)
@given(crowd=crowds(), seed=st.integers(0, 99))
async def test_every_question_counts_the_same_sessions_in_whatever_order_rows_lie(
    asker: Asker, crowd: list[Row], seed: int
) -> None:
    await asker.hold(crowd)
    answers = await sessions(asker), await everything(asker)
    random.Random(seed).shuffle(crowd)
    await asker.hold(crowd)
    assert (await sessions(asker), await everything(asker)) == answers
    assert await asker.connection.fetchval(PANEL) == answers[0]
    assert sum(user["sessions"] for user in answers[1]["/users"]["rows"]) == answers[0]


PANEL = build.SESSIONS.replace("$project", "default").replace(
    "$__timeFilter(timestamp)", "timestamp between '2026-11-02' and '2026-11-05'"
)
"""What the dashboard asks the database."""

QUESTIONS: dict[str, Sequence[tuple[str, str]]] = {
    "/sessions": [("interval", "hour")],
    "/trends": [("interval", "hour"), ("measure", "sessions"), ("rolling", "2"), ("by", "user_id")],
    "/funnel": [("step", "e"), ("step", "e"), ("unit", "session"), ("window", "31m")],
    "/paths": [("by", "user_id"), ("unit", "session"), ("end", "e")],
    "/users": [],
}


async def everything(asker: Asker) -> dict[str, Any]:
    return {
        path: (await asker.ask(path, *DAYS, *parameters))["data"]
        for path, parameters in QUESTIONS.items()
    }


async def test_a_hypertable_has_the_same_sessions(asker: Asker, timescale_url: str) -> None:
    crowd = [
        *silent(*minutes(0, 30, 61, 20 * 60)),
        *silent(*minutes(5, 34, 70), user=None, session="$3f"),
        row("2026-11-02T12:00", "ada", "s"),
    ]
    await asker.hold(crowd)
    writer = await asyncpg.connect(timescale_url)
    await Asker(writer, asker.engine).add(crowd)
    await writer.close()  # this server takes one connection at a time
    engine = open_engine(Settings(database_url=timescale_url))
    try:
        answers = await everything(Asker(asker.connection, engine))
    finally:
        await engine.dispose()
    assert answers == await everything(asker)
    assert answers["/sessions"]["sessions"] == 6
