"""Funnels: against the oracle over random rows, and the docs sentence by sentence."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.queries import journeys, oracle_funnel
from tests.queries.asker import Asker
from tests.queries.journeys import written_range
from tests.queries.oracle import Row
from tests.queries.oracle_funnel import Funnel
from tests.queries.simple import DAYS, row
from tests.queries.streams import written_condition, written_field, written_pairs

several = examples(120)

START = datetime(2026, 3, 28, 12, tzinfo=UTC)


def written(asked: Funnel) -> list[tuple[str, str]]:
    parameters = [
        *written_range(asked.start, asked.end),
        *(("step", written_pairs(step)) for step in asked.steps),
    ]
    parameters += [
        ("window", f"{asked.window // timedelta(seconds=1)}s"),
        ("order", asked.order),
        ("unit", asked.unit),
        ("limit", str(asked.limit)),
    ]
    parameters += [("by", written_field(asked.by))] if asked.by else []
    return [*parameters, *(("where", written_condition(condition)) for condition in asked.where)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Funnel, list[Row]]:
    window = draw(st.sampled_from([1, 2, 60, 86_400])) * timedelta(seconds=1)
    instants = [START + window * part / 2 for part in range(7)]
    events = draw(st.lists(journeys.pairs, min_size=1, max_size=4))
    order = draw(st.sampled_from(["ordered", "strict", "any"]))
    steps = draw(st.lists(st.sampled_from(events), min_size=2, max_size=4))
    asked = Funnel(
        START,
        draw(st.sampled_from(instants[2:])),
        tuple(steps),
        window,
        order,
        unit=draw(st.sampled_from(["user", "session"])),
        by=draw(st.none() | journeys.fields) if order != "any" else None,
        limit=draw(st.sampled_from([1, 2, 10])),
        where=draw(journeys.wheres),
    )
    return asked, draw(journeys.rows(instants, most=16))


def step(item: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(item[name] for name in ("n", "rate", "step_rate", "median_s"))


def plain(
    steps: list[tuple[int, Fraction | None, Fraction | None, Fraction | None]],
) -> list[tuple[Any, ...]]:
    return [tuple(None if value is None else float(value) for value in values) for values in steps]


@several
@given(case=cases())
async def test_a_funnel_is_what_trying_every_way_says(
    asker: Asker, case: tuple[Funnel, list[Row]]
) -> None:
    asked, rows = case
    await asker.hold(rows)
    answer = (await asker.ask("/funnel", *written(asked)))["data"]
    expected = oracle_funnel.funnel(rows, asked)
    assert [item["event"] for item in answer["steps"]] == [
        written_pairs(step) for step in asked.steps
    ]
    assert list(map(step, answer["steps"])) == plain(expected["steps"])
    by = written_field(asked.by) if asked.by else ""
    assert [(group["key"], list(map(step, group["steps"]))) for group in answer["groups"]] == [
        ({by: key}, plain(steps)) for key, steps in expected["groups"]
    ]


# the sentences


async def ask(asker: Asker, *parameters: tuple[str, str]) -> Any:
    return (await asker.ask("/funnel", *DAYS, *parameters))["data"]


async def n(asker: Asker, steps: str, *parameters: tuple[str, str]) -> list[int]:
    """How many units take each of the steps, which are given as one word each."""
    return [
        item["n"]
        for item in (await ask(asker, *(("step", step) for step in steps.split()), *parameters))[
            "steps"
        ]
    ]


def walk(events: str, user: str | None = "u", session: str = "s", **metadata: Any) -> list[Row]:
    """Rows an hour apart, of one-word events; a dash is an hour without."""
    return [
        row(f"2026-11-02T{hour:02}:00", user, session, f"{event}:x", **metadata)
        for hour, event in enumerate(events.split())
        if event != "-"
    ]


async def test_steps_are_taken_in_order_with_other_rows_in_between(asker: Asker) -> None:
    await asker.hold(
        [*walk("a x b x c", "u"), *walk("b a c", "v"), *walk("c b a", "w"), *walk("b c", "z")]
    )
    assert await n(asker, "a b c") == [3, 1, 1]


async def test_a_depth_is_the_largest_that_any_start_reaches(asker: Asker) -> None:
    await asker.hold(walk("a - - a b c"))
    assert await n(asker, "a b c", ("window", "2h")) == [1, 1, 1]


async def test_the_window_counts_from_the_first_step_and_holds_its_end(asker: Asker) -> None:
    await asker.hold(walk("a b c"))
    assert await n(asker, "a b c", ("window", "2h")) == [1, 1, 1]
    assert await n(asker, "a b c", ("window", "7199s")) == [1, 1, 0]
    late = row("2026-11-02T02:00:00.000001", "u", "s", "d:x")
    await asker.add([late])
    assert await n(asker, "a b d", ("window", "2h")) == [1, 1, 0]


async def test_without_a_window_it_is_fourteen_days_of_twenty_four_hours(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-10-20T12:00", "u", event="a:x"),
            row("2026-11-03T12:00", "u", event="b:x"),
            row("2026-11-03T12:00:00.000001", "u", event="c:x"),
        ]
    )
    parameters = (
        ("from", "2026-10-01"),
        ("to", "2026-11-05"),
        ("tz", "Europe/Berlin"),
        ("step", "a"),
    )
    for last, reached in (("b", 1), ("c", 0)):
        answer = await asker.ask("/funnel", *parameters, ("step", last))
        assert answer["data"]["steps"][1]["n"] == reached
        assert answer["query"]["window"] == "14d"


async def test_a_row_serves_one_step(asker: Asker) -> None:
    await asker.hold([*walk("a", "u"), *walk("a a", "v")])
    for order in ("ordered", "strict", "any"):
        assert await n(asker, "a a", ("order", order)) == [2, 1]
        assert await n(asker, "a * a,b", ("order", order)) == [2, 1, 0]


async def test_a_row_serves_one_step_of_a_later_start_too(asker: Asker) -> None:
    await asker.hold(walk("a b - - - - - - - a b"))
    assert await n(asker, "a b b", ("window", "2h")) == [1, 1, 0]


async def test_rows_at_one_instant_are_in_the_order_of_their_ids(asker: Asker) -> None:
    first, second = row("2026-11-02", "u", event="a:x"), row("2026-11-02", "u", event="b:x")
    assert first.id < second.id
    await asker.hold([second, first])
    for order in ("ordered", "strict"):
        assert await n(asker, "a b", ("order", order)) == [1, 1]
        assert await n(asker, "b a", ("order", order)) == [1, 0]
    assert await n(asker, "b a", ("order", "any"), ("window", "1s")) == [1, 1]


async def test_equal_steps_are_taken_by_different_rows_of_one_instant(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", user, event="a:x") for user in ("u", "u", "u", "v", "v")])
    for order in ("ordered", "strict", "any"):
        assert await n(asker, "a a a", ("order", order)) == [2, 2, 1]


async def test_strict_steps_have_no_other_row_between_them(asker: Asker) -> None:
    await asker.hold([*walk("a x b", "u"), *walk("a a b", "v"), *walk("x a b c", "w")])
    assert await n(asker, "a b c", ("order", "strict")) == [3, 2, 1]


async def test_a_row_that_a_filter_or_the_range_leaves_out_does_not_lie_between(
    asker: Asker,
) -> None:
    await asker.hold(walk("a x b"))
    assert await n(asker, "a b", ("order", "strict")) == [1, 0]
    assert await n(asker, "a b", ("order", "strict"), ("where", "event_type.ne.x")) == [1, 1]
    assert await n(asker, "a b", ("order", "strict"), ("event", "a,b")) == [1, 1]
    outside = [
        ("from", "2026-11-02T01:00"),
        ("to", "2026-11-02T02:00"),
        ("step", "a"),
        ("step", "b"),
    ]
    assert [item["n"] for item in (await asker.ask("/funnel", *outside))["data"]["steps"]] == [
        0,
        0,
    ]


async def test_steps_in_any_order_may_be_mixed_but_each_has_a_row_of_its_own(asker: Asker) -> None:
    await asker.hold(
        [*walk("c a b", "u"), *walk("b a", "v"), *walk("b c", "w"), *walk("a - - b", "z")]
    )
    assert await n(asker, "a b c", ("order", "any"), ("window", "2h")) == [3, 2, 1]


async def test_the_window_of_steps_in_any_order_moves_on_and_holds_its_end(asker: Asker) -> None:
    await asker.hold(walk("a - - - b - a"))
    assert await n(asker, "a b", ("order", "any"), ("window", "2h")) == [1, 1]
    assert await n(asker, "a b", ("order", "any"), ("window", "7199s")) == [1, 0]


async def test_rows_in_any_order_are_shared_out_so_that_most_steps_have_one(asker: Asker) -> None:
    """The row that fits both steps is left to the step that has no other."""
    await asker.hold([row("2026-11-02T00:00", event="a:x"), row("2026-11-02T01:00", event="b:x")])
    assert await n(asker, "a,b a", ("order", "any")) == [1, 1]
    assert await n(asker, "a,b a b", ("order", "any")) == [1, 1, 0]


async def test_a_unit_is_an_actor_or_a_session(asker: Asker) -> None:
    await asker.hold([*walk("a", "u", "s"), *walk("- b", "u", "t"), *walk("- - b", None, "s")])
    assert await n(asker, "a b") == [1, 1]
    assert await n(asker, "a b", ("unit", "session")) == [1, 1]
    assert await n(asker, "a b", ("unit", "session"), ("where", "user_id.set")) == [1, 0]


async def test_rates_are_of_the_first_step_and_of_the_one_before(asker: Asker) -> None:
    await asker.hold([*walk("a b c", "u"), *walk("a b", "v"), *walk("a", "w"), *walk("a", "z")])
    steps = (await ask(asker, ("step", "a"), ("step", "b"), ("step", "c")))["steps"]
    assert [(item["rate"], item["step_rate"]) for item in steps] == [
        (1, 1),
        (0.5, 0.5),
        (0.25, 0.5),
    ]


async def test_a_step_that_nobody_took_has_no_rate_after_it(asker: Asker) -> None:
    await asker.hold([])
    steps = (await ask(asker, ("step", "a"), ("step", "b"), ("step", "c")))["steps"]
    assert [step(item) for item in steps] == [
        (0, 1, 1, None),
        (0, None, None, None),
        (0, None, None, None),
    ]
    await asker.hold(walk("a"))
    steps = (await ask(asker, ("step", "a"), ("step", "b"), ("step", "c")))["steps"]
    assert [step(item) for item in steps] == [
        (1, 1, 1, None),
        (0, 0, 0, None),
        (0, 0, None, None),
    ]


async def test_the_median_is_of_the_earliest_attempt_that_reaches_the_depth(asker: Asker) -> None:
    await asker.hold([*walk("a - - a - b a b", "u"), *walk("a b", "v"), *walk("a", "w")])
    times = [
        item["median_s"]
        for item in (await ask(asker, ("step", "a"), ("step", "b"), ("window", "4h")))["steps"]
    ]
    assert times == [None, 1.5 * 3600]
    assert [
        item["median_s"]
        for item in (await ask(asker, ("step", "a"), ("step", "b"), ("order", "any")))["steps"]
    ] == [None, None]


async def test_of_attempts_that_get_equally_far_but_not_to_the_end_the_earliest_counts(
    asker: Asker,
) -> None:
    await asker.hold(walk("a b - - a - b - - - - - c"))
    steps = (await ask(asker, ("step", "a"), ("step", "b"), ("step", "c"), ("window", "2h")))[
        "steps"
    ]
    assert [(item["n"], item["median_s"]) for item in steps] == [(1, None), (1, 3600), (0, None)]
    strict = await ask(
        asker, ("step", "a"), ("step", "b"), ("step", "c"), ("window", "2h"), ("order", "strict")
    )
    assert strict["steps"] == steps


async def test_the_median_of_a_step_counts_units_that_did_not_take_the_next(
    asker: Asker,
) -> None:
    await asker.hold([*walk("a b c", "u"), *walk("a - - b", "v")])
    assert [
        item["median_s"]
        for item in (await ask(asker, ("step", "a"), ("step", "b"), ("step", "c")))["steps"]
    ] == [None, 2 * 3600, 3600]


async def test_a_group_is_what_the_first_row_of_the_attempt_holds(asker: Asker) -> None:
    early, late = (
        row("2026-11-02T00:00", "u", event="a:x", k="early"),
        row("2026-11-02T05:00", "u", event="a:x", k="late"),
    )
    await asker.hold([early, late, row("2026-11-02T06:00", "u", event="b:x", k="other")])
    groups = (
        await ask(asker, ("step", "a"), ("step", "b"), ("by", "metadata.k"), ("window", "2h"))
    )["groups"]
    assert [(group["key"], [item["n"] for item in group["steps"]]) for group in groups] == [
        ({"metadata.k": "late"}, [1, 1])
    ]
    groups = (await ask(asker, ("step", "a"), ("step", "b"), ("by", "metadata.k")))["groups"]
    assert [group["key"] for group in groups] == [{"metadata.k": "early"}]


async def test_groups_come_largest_first_then_by_code_point_then_the_missing_value(
    asker: Asker,
) -> None:
    people = {"1": "z", "2": "z", "3": "é", "4": "Z", "5": "😀", "6": "\uffff", "7": None}
    await asker.hold([one for user, value in people.items() for one in walk("a", user, k=value)])
    groups = (await ask(asker, ("step", "a"), ("step", "b"), ("by", "metadata.k")))["groups"]
    assert [group["key"]["metadata.k"] for group in groups] == ["z", "Z", "é", "\uffff", "😀", None]
    groups = (await ask(asker, ("step", "a"), ("step", "b"), ("by", "metadata.k"), ("limit", "2")))[
        "groups"
    ]
    assert [group["key"]["metadata.k"] for group in groups] == ["z", "Z"]


async def test_without_by_there_are_no_groups(asker: Asker) -> None:
    await asker.hold(walk("a b"))
    assert (await ask(asker, ("step", "a"), ("step", "b")))["groups"] == []


async def test_ten_steps_that_each_match_what_the_others_do(asker: Asker) -> None:
    await asker.hold(walk("a a a a a a a a a a"))
    for order in ("ordered", "strict", "any"):
        assert await n(asker, "a * a a a a a a * a", ("order", order)) == [1] * 10


async def test_a_window_may_be_longer_than_any_range(asker: Asker) -> None:
    await asker.hold(walk("a b"))
    assert await n(asker, "a b", ("window", "999999999w")) == [1, 1]
    assert await n(asker, "a b", ("window", "999999999w"), ("order", "any")) == [1, 1]
