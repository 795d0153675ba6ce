"""Breakdown: against the oracle over random streams, and the docs sentence by sentence."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.queries import oracle_breakdown
from tests.queries.asker import Asker
from tests.queries.oracle import Row
from tests.queries.oracle_breakdown import Breakdown
from tests.queries.questions.test_sql import sent
from tests.queries.questions.trends.test_trends import equal, several
from tests.queries.simple import DAYS, row
from tests.queries.streams import (
    measures,
    paths,
    questions,
    streams,
    written_field,
    written_filters,
    written_measure,
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[tuple[str, str]], Breakdown, list[Row]]:
    trend = replace(draw(questions()), compare=False, rolling=1)
    trend = draw(st.sampled_from([trend, replace(trend, pairs=((None, None),), where=())]))
    by = draw(
        st.lists(
            paths | st.sampled_from([("event_type",), ("metadata", "k")]), min_size=1, max_size=3
        ).map(tuple)
    )
    several = draw(st.lists(measures, min_size=1, max_size=4).map(tuple))
    sort = draw(st.none() | st.tuples(st.integers(0, len(by) + len(several) - 1), st.booleans()))
    columns = [*map(written_field, by), *map(written_measure, several)]
    if sort:
        sort = (columns.index(columns[sort[0]]), sort[1])
    asked = Breakdown(
        trend.start, trend.end, by, several, trend.pairs, trend.where, trend.limit, sort
    )
    written = [
        *written_filters(trend),
        ("by", ",".join(columns[: len(by)])),
        ("measure", ",".join(columns[len(by) :])),
        ("limit", str(asked.limit)),
    ]
    if sort:
        written.append(("sort", "-" * sort[1] + columns[sort[0]]))
    return written, asked, draw(streams(trend))


@several
@given(case=cases())
async def test_breakdowns_are_what_a_plain_count_says(
    asker: Asker, case: tuple[list[tuple[str, str]], Breakdown, list[Row]]
) -> None:
    written, asked, rows = case
    await asker.hold(rows)
    data = (await asker.ask("/breakdown", *written))["data"]
    expected, total = oracle_breakdown.breakdown(rows, asked)
    fields = len(asked.by)
    assert data["columns"] == [
        *map(written_field, asked.by),
        *map(written_measure, asked.measures),
    ]
    assert data["total_rows"] == total
    assert [got[:fields] for got in data["rows"]] == [want[:fields] for want in expected]
    for got, want in zip(data["rows"], expected, strict=True):
        assert all(map(equal, got[fields:], want[fields:])), (got, want)


# the sentences


async def ask(asker: Asker, *parameters: tuple[str, str]) -> Any:
    return (await asker.ask("/breakdown", *DAYS, *parameters))["data"]


async def test_columns_are_the_fields_then_the_measures_as_written(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", "u", k="a", n=2)])
    answer = await ask(
        asker, ("by", "metadata.k,event_type"), ("measure", "users,sum:metadata.%6E")
    )
    assert answer == {
        "columns": ["metadata.k", "event_type", "users", "sum:metadata.%6E"],
        "rows": [["a", "e", 1, 2]],
        "total_rows": 1,
    }


async def test_the_measure_defaults_to_count_and_the_order_to_the_largest_first(
    asker: Asker,
) -> None:
    await asker.hold([row("2026-11-02", k=key) for key in ("a", "b", "b", "c", "c", "c")])
    answer = await ask(asker, ("by", "metadata.k"))
    assert answer == {
        "columns": ["metadata.k", "count"],
        "rows": [["c", 3], ["b", 2], ["a", 1]],
        "total_rows": 3,
    }


async def test_the_order_is_that_of_the_first_measure(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", "u", k="a"),
            row("2026-11-02", "u", k="a"),
            row("2026-11-02", "u", k="b"),
            row("2026-11-02", "v", k="b"),
        ]
    )
    assert (await ask(asker, ("by", "metadata.k"), ("measure", "users,count")))["rows"] == [
        ["b", 2, 2],
        ["a", 1, 2],
    ]
    assert (await ask(asker, ("by", "metadata.k"), ("measure", "count,users")))["rows"] == [
        ["a", 2, 1],
        ["b", 2, 2],
    ]


async def test_any_column_sorts_and_a_minus_descends(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-02", k=key, n=n) for key, n in (("a", 5), ("b", 1), ("b", 1), ("c", 3))]
    )
    orders = {
        "metadata.k": "abc",
        "-metadata.k": "cba",
        "count": "acb",
        "-count": "bac",
        "sum:metadata.n": "bca",
        "-sum:metadata.n": "acb",
    }
    for sort, order in orders.items():
        rows = (
            await ask(
                asker, ("by", "metadata.k"), ("measure", "count,sum:metadata.n"), ("sort", sort)
            )
        )["rows"]
        assert "".join(row[0] for row in rows) == order


async def test_ties_come_in_code_point_order_of_all_fields_and_the_missing_value_last(
    asker: Asker,
) -> None:
    keys = [
        ("b", "x"),
        ("Z", "x"),
        (None, "a"),
        ("a", None),
        ("a", "é"),
        ("a", "z"),
        ("\uffff", "x"),
        ("😀", "x"),
    ]
    await asker.hold([row("2026-11-02", k=first, l=second) for first, second in keys])
    rows = (await ask(asker, ("by", "metadata.k,metadata.l")))["rows"]
    assert [tuple(cells[:2]) for cells in rows] == [
        ("Z", "x"),
        ("a", "z"),
        ("a", "é"),
        ("a", None),
        ("b", "x"),
        ("\uffff", "x"),
        ("😀", "x"),
        (None, "a"),
    ]


@pytest.mark.parametrize("sort", ["avg:metadata.n", "-avg:metadata.n", "metadata.k", "-metadata.k"])
async def test_what_is_null_comes_last_in_both_directions(asker: Asker, sort: str) -> None:
    await asker.hold(
        [row("2026-11-02", k="a", n=1), row("2026-11-02", k="b", n=2), row("2026-11-02")]
    )
    rows = (await ask(asker, ("by", "metadata.k"), ("measure", "avg:metadata.n"), ("sort", sort)))[
        "rows"
    ]
    assert rows[2] == [None, None]


async def test_total_rows_counts_the_groups_that_the_limit_hides(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", k=str(n)) for n in range(30)])
    for limit, shown in ((), 10), ((("limit", "2"),), 2), ((("limit", "1000"),), 30):
        answer = await ask(asker, ("by", "metadata.k"), *limit)
        assert (len(answer["rows"]), answer["total_rows"]) == (shown, 30)


async def test_without_rows_there_are_columns_and_no_groups(asker: Asker) -> None:
    await asker.hold([])
    assert await ask(asker, ("by", "event_type"), ("measure", "count,users")) == {
        "columns": ["event_type", "count", "users"],
        "rows": [],
        "total_rows": 0,
    }


async def test_groups_that_miss_a_value_are_one_in_every_measure(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-02", "u", k=None, n=4), row("2026-11-02", "v"), row("2026-11-02", "v", k="a")]
    )
    answer = await ask(
        asker, ("by", "metadata.k,metadata.l"), ("measure", "users,sessions,count,p50:metadata.n")
    )
    assert answer["rows"] == [[None, None, 2, 1, 2, 4], ["a", None, 1, 1, 1, None]]


async def test_a_comma_inside_a_key_is_written_percent_encoded(asker: Asker) -> None:
    await asker.hold([replace(row("2026-11-02"), metadata={"a,b": "x", "n:m": 3})])
    answer = await ask(
        asker,
        ("by", "metadata.a%2Cb"),
        ("measure", "max:metadata.n%3Am"),
        ("sort", "metadata.a%2Cb"),
    )
    assert answer["rows"] == [["x", 3]]


async def test_sort_is_repeated_resolved(asker: Asker) -> None:
    query = (
        await asker.ask(
            "/breakdown", *DAYS, ("by", "event_type,user_id"), ("measure", "users,count")
        )
    )["query"]
    assert (query["by"], query["measure"], query["sort"], query["limit"]) == (
        "event_type,user_id",
        "users,count",
        "-users",
        10,
    )


async def test_however_many_measures_count_sessions_the_statement_has_them_once() -> None:
    conditions = [("where", f"metadata.k{n}.contains.v") for n in range(9)]

    async def asked(measures: str) -> str:
        return (
            await sent(
                "/breakdown", [*DAYS, ("by", "metadata.k"), *conditions, ("measure", measures)]
            )
        )[-1]

    once, often = (
        await asked("users,sessions,count"),
        await asked("users,sessions," * 4 + "count,count"),
    )
    assert often.count("strpos") == once.count("strpos")


async def test_measures_that_repeat_are_equal(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02T01:00", k="a"),
            row("2026-11-02T02:00", k="b"),
            row("2026-11-02T03:00", user="u", session="t", k="a"),
        ]
    )
    measures = "users,sum:metadata.n,sessions,users,count,sessions,sum:metadata.n,sessions"
    asked = ("by", "metadata.k"), ("measure", measures)
    data = (await asker.ask("/breakdown", *DAYS, *asked))["data"]
    assert data["rows"] == [["a", 2, 0, 2, 2, 2, 2, 0, 2], ["b", 1, 0, 1, 1, 1, 1, 0, 1]]
