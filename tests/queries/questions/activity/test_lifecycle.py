"""Lifecycle: against the oracle over random streams, and the docs sentence by sentence."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.queries import oracle_lives
from tests.queries.asker import Asker
from tests.queries.oracle import Row, Trend
from tests.queries.questions.test_sessions import passing
from tests.queries.questions.trends.test_trends import several
from tests.queries.simple import DAYS, row
from tests.queries.streams import questions, streams, written_filters


@st.composite
def filtered(draw: st.DrawFn) -> tuple[Trend, list[Row]]:
    """A range, an interval and filters, as often none; and rows that reach back some buckets before
    the range.
    """
    asked = replace(draw(questions()), by=None, compare=False, rolling=4)
    asked = draw(st.sampled_from([asked, replace(asked, pairs=((None, None),), where=())]))
    return asked, draw(streams(asked))


@several
@given(case=filtered())
async def test_lifecycles_are_what_looking_at_each_person_says(
    asker: Asker, case: tuple[Trend, list[Row]]
) -> None:
    asked, rows = case
    await asker.hold(rows)
    data = (await asker.ask("/lifecycle", *written_filters(asked), ("interval", asked.interval)))[
        "data"
    ]
    data["times"] = [datetime.fromisoformat(time) for time in data["times"]]
    assert data == oracle_lives.lifecycle(
        passing(rows, asked), asked.start, asked.end, asked.interval, asked.zone
    )


# the sentences


async def ask(asker: Asker, *parameters: tuple[str, str]) -> Any:
    """The numbers of each kind, for three days in November."""
    data = (
        await asker.ask(
            "/lifecycle", *(DAYS if "from" not in dict(parameters) else ()), *parameters
        )
    )["data"]
    assert len(data.pop("times")) == len(data["new"])
    return data


async def test_new_is_who_has_the_first_row_ever_in_the_bucket(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", "u"),
            row("2026-11-03", "u"),
            row("2026-11-03", "v"),
            row("2026-09-01", "w"),
            row("2026-11-02", "w"),
        ]
    )
    assert (await ask(asker))["new"] == [1, 1, 0]


async def test_returning_is_who_was_active_in_the_bucket_before_too_even_before_the_range(
    asker: Asker,
) -> None:
    await asker.hold(
        [
            row("2026-11-01", "u"),
            row("2026-11-02", "u"),
            row("2026-11-03", "u"),
            row("2026-11-03", "v"),
        ]
    )
    assert (await ask(asker))["returning"] == [1, 1, 0]


async def test_resurrecting_is_who_was_seen_earlier_but_not_in_the_bucket_before(
    asker: Asker,
) -> None:
    await asker.hold(
        [
            row("2026-09-01", "u"),
            row("2026-11-02", "u"),
            row("2026-11-02", "v"),
            row("2026-11-04", "v"),
            row("2026-11-03", "u"),
        ]
    )
    assert (await ask(asker))["resurrecting"] == [1, 0, 1]


async def test_dormant_is_who_was_active_in_the_bucket_before_and_is_not_in_this_and_is_negative(
    asker: Asker,
) -> None:
    await asker.hold(
        [
            row("2026-11-01", "u"),
            row("2026-11-02", "v"),
            row("2026-11-02", "w"),
            row("2026-11-03", "v"),
        ]
    )
    assert await ask(asker) == {
        "new": [2, 0, 0],
        "returning": [0, 1, 0],
        "resurrecting": [0, 0, 0],
        "dormant": [-1, -1, -1],
    }


async def test_ever_and_active_mean_rows_that_pass_the_filters(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-01", "u", k="b"),
            row("2026-11-02", "u", k="a"),
            row("2026-11-03", "u", "s", "e:b", k="a"),
            row("2026-11-04", "u", k="a"),
        ]
    )
    asked = await ask(asker, ("where", "metadata.k.eq.a"), ("event", "e:a"))
    assert asked == {
        "new": [1, 0, 0],
        "returning": [0, 0, 0],
        "resurrecting": [0, 0, 1],
        "dormant": [0, -1, 0],
    }


async def test_the_first_bucket_is_looked_at_whole_though_the_range_begins_inside_it(
    asker: Asker,
) -> None:
    await asker.hold(
        [
            row("2026-11-02T08:00", "u"),
            row("2026-11-02T14:00", "u"),
            row("2026-11-02T08:00", "v"),
            row("2026-11-03T08:00", "v"),
        ]
    )
    asked = await ask(asker, ("from", "2026-11-02T12:00"), ("to", "2026-11-04"))
    assert asked == {"new": [2, 0], "returning": [0, 1], "resurrecting": [0, 0], "dormant": [0, -1]}


async def test_rows_from_the_end_of_the_range_on_do_not_count(asker: Asker) -> None:
    await asker.hold([row("2026-11-02T08:00", "u"), row("2026-11-03T12:00", "u")])
    asked = await ask(asker, ("from", "2026-11-02"), ("to", "2026-11-03T12:00"))
    assert (asked["returning"], asked["dormant"]) == ([0, 0], [0, -1])


async def test_a_person_is_a_user_else_a_session(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", None, "x"),
            row("2026-11-03", "x", "y"),
            row("2026-11-02", "z", "w"),
            row("2026-11-03", None, "w"),
        ]
    )
    assert await ask(asker) == {
        "new": [2, 1, 0],
        "returning": [0, 1, 0],
        "resurrecting": [0, 0, 0],
        "dormant": [0, -1, -2],
    }


async def test_another_projects_people_are_not_counted(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", "u")], project="shop")
    assert (await ask(asker))["new"] == [0, 0, 0]
    assert (await ask(asker, ("project", "shop")))["new"] == [1, 0, 0]
