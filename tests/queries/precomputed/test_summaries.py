"""Cached summaries of numbers: against the oracle, and to the last bit against PostgreSQL."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.language.measures import added
from analytics.queries.precomputed import summaries
from analytics.queries.precomputed.summaries import average
from tests.examples import examples
from tests.queries import oracle
from tests.queries.precomputed.numbers import LONG, NAMES, WEEK, N, asked_both_ways, hold
from tests.queries.questions.trends.test_trends import equal
from tests.queries.simple import row
from tests.queries.storing import Storer

pytestmark = pytest.mark.usefixtures("rather_precomputed")


def a_day(number: int) -> str:
    return f"2026-10-{5 + number % 7:02}T12:30"


SETS: dict[str, Sequence[Any]] = {
    "ties": [2, 2, 2, Decimal("2.0"), 3, 3, Decimal("2.00"), 2, 3],
    "one": [Decimal("1.10")],
    "none at all": ["7", True, None, [1]],
    "numbers and what is none": [1, "2", 3, None, True, {"n": 4}, 5],
    "zero below zero": [Decimal("-0.0"), Decimal("-0.00"), 0, -1],
    "too small for a double": [
        Decimal("1e-400"),
        Decimal("-1e-400"),
        Decimal("1e-301"),
        Decimal("1e-299"),
    ],
    "as large as doubles are": [
        Decimal("1.7976931348623157e308"),
        Decimal("-1.7976931348623157e308"),
        0,
    ],
    "more digits than a double has": [*LONG, 2**53, 2**62 + 1, 10**30 + 3, Decimal("0.1")],
    "thirds": [1, 0, 0, Decimal("0.3333333333333333333333333"), 10**17, 1, 7],
    "few large, many small": [10**9, *[Decimal("0.001")] * 20],
}


@pytest.mark.parametrize("numbers", SETS.values(), ids=SETS)
@pytest.mark.parametrize("name", NAMES)
async def test_any_numbers_are_measured_as_the_database_measures_them(
    storer: Storer, name: str, numbers: Sequence[Any]
) -> None:
    rows = [row(a_day(at), n=number) for at, number in enumerate(numbers)]
    days_before = [
        row((one.timestamp - timedelta(days=7)).isoformat(), **one.metadata) for one in rows[1:]
    ]
    await hold(storer, rows + days_before)
    answer = await asked_both_ways(
        storer,
        "/trends",
        [*WEEK, ("measure", f"{name}:metadata.n"), ("rolling", "3"), ("compare", "previous")],
    )
    if not any(number in LONG for number in numbers) or name in ("sum", "avg", "min", "max"):
        (line,) = answer["series"]
        assert equal(line["total"], oracle.measure(name, N, rows))
        assert equal(line["previous_total"], oracle.measure(name, N, days_before))


async def test_a_bucket_without_numbers_is_zero_for_a_sum_and_null_for_all_else(
    storer: Storer,
) -> None:
    await hold(storer, [row("2026-10-05T12:30", n="7"), row("2026-10-06T12:30", n=4)])
    for name in NAMES:
        (line,) = (
            await asked_both_ways(storer, "/trends", [*WEEK, ("measure", f"{name}:metadata.n")])
        )["series"]
        assert line == {
            "key": {},
            "values": [0 if name == "sum" else None, 4, *[0 if name == "sum" else None] * 5],
            "total": 4,
        }


@pytest.mark.parametrize("name", ["avg", "p50"])
async def test_groups_without_numbers_come_last_and_equal_ones_in_code_point_order(
    storer: Storer, name: str
) -> None:
    values = {"b": 2, "a": 2, None: 3, "": "none", "z": -1}
    await hold(storer, [row(a_day(at), k=key, n=n) for at, (key, n) in enumerate(values.items())])
    answer = await asked_both_ways(
        storer, "/trends", [*WEEK, ("measure", f"{name}:metadata.n"), ("by", "metadata.k")]
    )
    assert [line["key"]["metadata.k"] for line in answer["series"]] == [None, "a", "b", "z", ""]
    answer = await asked_both_ways(
        storer,
        "/trends",
        [*WEEK, ("measure", f"{name}:metadata.n"), ("by", "metadata.k"), ("limit", "2")],
    )
    assert answer["other"]["total"] == {"avg": 0.5, "p50": 0.5}[name]


async def test_a_breakdown_has_every_measure_of_every_group(storer: Storer) -> None:
    await hold(
        storer,
        [row(a_day(at), f"u{at % 3}", k="ab"[at % 2], n=at) for at in range(12)]
        + [row(a_day(1), k="c")],
    )
    measures = [
        "p50:metadata.n",
        "count",
        "users",
        *(f"{name}:metadata.n" for name in ("sum", "avg", "min", "max", "p90")),
    ]
    answer = await asked_both_ways(
        storer,
        "/breakdown",
        [*WEEK, ("by", "metadata.k"), ("measure", ",".join(measures)), ("sort", "metadata.k")],
    )
    assert answer["rows"] == [
        ["a", 5, 6, 3, 30, 5, 0, 10, 9],
        ["b", 6, 6, 3, 36, 6, 1, 11, 10],
        ["c", None, 1, 1, 0, None, None, None, None],
    ]


@pytest.mark.parametrize(("day", "hours"), [("2026-10-25", 25), ("2026-03-29", 23)])
async def test_a_local_day_has_the_numbers_of_all_its_hours(
    storer: Storer, day: str, hours: int
) -> None:
    first = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    await hold(
        storer,
        [
            row((first + timedelta(hours=hour, minutes=30)).isoformat(), n=hour)
            for hour in range(-24, hours + 24)
        ],
    )
    until = (first + timedelta(hours=hours)).isoformat()
    for name, value in {"sum": sum(range(hours)), "max": hours - 1, "p50": (hours - 1) / 2}.items():
        answer = await asked_both_ways(
            storer,
            "/trends",
            [
                ("from", day),
                ("to", until),
                ("tz", "Europe/Berlin"),
                ("measure", f"{name}:metadata.n"),
            ],
        )
        assert answer["series"][0]["values"] == [value]


async def test_a_formula_of_remembered_numbers_is_that_of_raw_ones(storer: Storer) -> None:
    await hold(storer, [row(a_day(at), event=f"e:{'ab'[at % 2]}", n=at) for at in range(20)])
    series = [
        ("series", "sum:metadata.n@e:a"),
        ("series", "p90:metadata.n@*"),
        ("series", "count@*"),
        ("formula", "A/C+B"),
    ]
    answer = await asked_both_ways(storer, "/trends", [*WEEK, *series, ("compare", "previous")])
    assert answer["series"][3]["total"] == pytest.approx(90 / 20 + 17.1)


async def test_too_many_numbers_in_parts_of_hours_are_left_to_the_database(
    fortnight: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fortnight.write([row(f"2026-10-05T12:{minute}", n=minute) for minute in (10, 20, 40, 50)])
    await fortnight.store.compact()
    until = ("to", "2026-10-05T12:45")
    monkeypatch.setattr(summaries, "MAX_NUMBERS", 3)
    answer = await fortnight.ask("/trends", WEEK[0], until, ("measure", "p50:metadata.n"))
    assert answer["data"]["series"][0]["total"] == 15


decimals = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**25), max_value=10**25, places=None
) | st.sampled_from(
    [
        Decimal(text)
        for text in (
            "0",
            "0.00",
            "1e308",
            "-1e308",
            "1e-400",
            "9999",
            "10000",
            "9999.9999",
            "0.0001",
            "0.00009999",
            "1.50",
            "123456789012345678.5",
        )
    ]
)


@examples(300)
@given(numbers=st.lists(decimals, min_size=1, max_size=12))
async def test_an_average_is_rounded_where_the_database_rounds_it(
    storer: Storer, numbers: list[Decimal]
) -> None:
    expected, total = await storer.connection.fetchrow(
        "select avg(number), sum(number) from unnest($1::numeric[]) number", numbers
    )
    assert added(numbers) == total
    mean = average(total, len(numbers))
    assert (mean, mean.as_tuple().exponent) == (expected, expected.as_tuple().exponent) or (
        mean == expected and expected == expected.to_integral_value()
    )
