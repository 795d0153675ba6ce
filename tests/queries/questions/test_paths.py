"""Paths: against the oracle over random rows, and the docs sentence by sentence."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.queries import journeys, oracle_paths
from tests.queries.asker import Asker
from tests.queries.journeys import written_range
from tests.queries.oracle import Row
from tests.queries.oracle_paths import Paths
from tests.queries.simple import DAYS, row
from tests.queries.streams import written_condition, written_field, written_pairs

several = examples(120)

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
END = START + timedelta(hours=2)
INSTANTS = [START, START + timedelta(hours=1), END]


def written(asked: Paths) -> list[tuple[str, str]]:
    parameters = [
        *written_range(asked.start, asked.end),
        ("by", written_field(asked.by)),
        ("depth", str(asked.depth)),
        ("limit", str(asked.limit)),
    ]
    parameters += [
        (name, written_pairs(pairs))
        for name, pairs in (("start", asked.begins), ("end", asked.ends))
        if pairs is not None
    ]
    return [
        *parameters,
        ("unit", asked.unit),
        *(("where", written_condition(condition)) for condition in asked.where),
    ]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Paths, list[Row]]:
    begins, ends = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    asked = Paths(
        START,
        END,
        draw(journeys.fields),
        draw(journeys.pairs) if begins else None,
        draw(journeys.pairs) if ends else None,
        draw(st.integers(1, 5)),
        draw(st.sampled_from([1, 3, 1000])),
        draw(st.sampled_from(["user", "session"])),
        draw(journeys.wheres),
    )
    return asked, draw(journeys.rows(INSTANTS, most=30))


def links(answer: Any) -> list[tuple[int, str, str, int]]:
    return [(link["step"], link["from"], link["to"], link["n"]) for link in answer["data"]["links"]]


@several
@given(case=cases())
async def test_paths_are_what_following_each_unit_says(
    asker: Asker, case: tuple[Paths, list[Row]]
) -> None:
    asked, rows = case
    await asker.hold(rows)
    assert links(await asker.ask("/paths", *written(asked))) == oracle_paths.paths(rows, asked)


# the sentences


async def ask(asker: Asker, *parameters: tuple[str, str]) -> list[tuple[int, str, str, int]]:
    return links(await asker.ask("/paths", *DAYS, *parameters))


def walk(actions: str, user: str | None = "u", session: str = "s") -> list[Row]:
    """Rows an hour apart, of one-letter actions."""
    return [
        row(f"2026-11-02T{hour:02}:00", user, session, f"e:{action}")
        for hour, action in enumerate(actions)
    ]


async def test_a_link_leads_from_each_row_to_the_next_and_equal_neighbours_are_kept(
    asker: Asker,
) -> None:
    await asker.hold(walk("abba"))
    assert await ask(asker) == [(1, "a", "b", 1), (2, "b", "b", 1), (3, "b", "a", 1)]


async def test_a_single_row_leads_nowhere(asker: Asker) -> None:
    await asker.hold(walk("a"))
    assert await ask(asker) == []


async def test_n_counts_units_at_each_step(asker: Asker) -> None:
    await asker.hold([*walk("abab", "u"), *walk("ab", "v"), *walk("cab", "w")])
    assert await ask(asker) == [
        (1, "a", "b", 2),
        (1, "c", "a", 1),
        (2, "a", "b", 1),
        (2, "b", "a", 1),
        (3, "a", "b", 1),
    ]


async def test_a_path_begins_at_the_first_row_that_matches_the_start(asker: Asker) -> None:
    await asker.hold([*walk("xabac", "u"), *walk("xyz", "v")])
    assert await ask(asker, ("start", "*:a")) == [
        (1, "a", "b", 1),
        (2, "b", "a", 1),
        (3, "a", "c", 1),
    ]
    assert await ask(asker, ("start", "*:c")) == []


async def test_a_path_goes_back_from_the_last_row_that_matches_the_end(asker: Asker) -> None:
    await asker.hold([*walk("abcbx", "u"), *walk("cb", "v")])
    assert await ask(asker, ("end", "e:b")) == [
        (1, "c", "b", 2),
        (2, "b", "c", 1),
        (3, "a", "b", 1),
    ]


async def test_depth_counts_links(asker: Asker) -> None:
    await asker.hold(walk("abcdefgh"))
    assert len(await ask(asker)) == 5
    assert await ask(asker, ("depth", "1")) == [(1, "a", "b", 1)]
    assert await ask(asker, ("depth", "2"), ("end", "*")) == [(1, "g", "h", 1), (2, "f", "g", 1)]


async def test_the_limit_keeps_the_largest_links_over_all_steps(asker: Asker) -> None:
    await asker.hold([*walk("abc", "u"), *walk("xbc", "v"), *walk("ybc", "w")])
    assert await ask(asker, ("limit", "2")) == [(2, "b", "c", 3), (1, "a", "b", 1)]


async def test_equal_links_come_by_step_then_in_code_point_order(asker: Asker) -> None:
    pairs = ["zé", "za", "Zb", "éa", "\uffffa", "😀a"]
    await asker.hold([one for user, pair in enumerate(pairs) for one in walk(pair, f"u{user}")])
    assert [(source, target) for _, source, target, _ in await ask(asker)] == [
        ("Z", "b"),
        ("z", "a"),
        ("z", "é"),
        ("é", "a"),
        ("\uffff", "a"),
        ("😀", "a"),
    ]


async def test_rows_at_one_instant_are_in_the_order_of_their_ids(asker: Asker) -> None:
    first, second = row("2026-11-02", event="e:z"), row("2026-11-02", event="e:a")
    await asker.hold([second, first])
    assert await ask(asker) == [(1, "z", "a", 1)]
    assert await ask(asker, ("end", "*")) == [(1, "z", "a", 1)]
    assert await ask(asker, ("start", "*:a")) == []


async def test_rows_without_the_field_are_no_part_of_a_path_not_even_its_start(
    asker: Asker,
) -> None:
    rows = [
        row("2026-11-02T00:00", event="go:x"),
        row("2026-11-02T01:00", k="a"),
        row("2026-11-02T02:00", k=None),
        row("2026-11-02T03:00", k={"b": 1}),
    ]
    await asker.hold(rows)
    assert await ask(asker, ("by", "metadata.k")) == [(1, "a", '{"b": 1}', 1)]
    assert await ask(asker, ("by", "metadata.k"), ("start", "go")) == []


async def test_rows_outside_the_range_or_the_filters_are_no_part_of_a_path(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-01T23:59:59", event="e:z"), *walk("axb"), row("2026-11-05", event="e:z")]
    )
    assert await ask(asker, ("where", "event_action.ne.x")) == [(1, "a", "b", 1)]
    assert await ask(asker, ("event", "*:a,*:b")) == [(1, "a", "b", 1)]


async def test_a_unit_is_an_actor_or_a_session(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02T00:00", "u", "s", "e:a"),
            row("2026-11-02T01:00", "u", "t", "e:b"),
            row("2026-11-02T02:00", None, "s", "e:c"),
        ]
    )
    assert await ask(asker) == [(1, "a", "b", 1)]
    assert await ask(asker, ("unit", "session")) == [(1, "a", "c", 1)]


async def test_what_was_not_asked_is_said(asker: Asker) -> None:
    await asker.hold([])
    query = (await asker.ask("/paths", *DAYS))["query"]
    shown = {
        "by": "event_action",
        "start": None,
        "end": None,
        "depth": 5,
        "limit": 10,
        "unit": "user",
    }
    assert {name: query[name] for name in shown} == shown
