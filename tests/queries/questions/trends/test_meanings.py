"""The exact meanings in the docs for trends, one by one."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.queries.asker import Asker
from tests.queries.simple import one, row, trends

# times


async def test_the_range_holds_its_start_and_not_its_end(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-01T23:59:59.999999"),
            row("2026-11-02"),
            row("2026-11-04T23:59:59.999999"),
            row("2026-11-05"),
        ]
    )
    assert await one(asker) == {"key": {}, "values": [1, 0, 1], "total": 2}


async def test_the_first_bucket_begins_before_from_but_counts_only_from_there(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02T11:59:59"),
            row("2026-11-02T12:00"),
            row("2026-11-03T11:59:59"),
            row("2026-11-03T12:00"),
        ]
    )
    answer = await trends(asker, ("from", "2026-11-02T12:00"), ("to", "2026-11-03T12:00"))
    assert answer["times"] == ["2026-11-02T00:00:00+00:00", "2026-11-03T00:00:00+00:00"]
    assert answer["series"] == [{"key": {}, "values": [1, 1], "total": 2}]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Asia/Kathmandu", "2026-03-29", 24),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("Africa/Cairo", "2026-04-24", 23),
        ("America/Havana", "2026-11-01", 25),
        ("America/Detroit", "2026-03-08", 23),
    ],
)
async def test_a_day_is_one_bucket_and_has_as_many_hours_as_it_lasts(
    asker: Asker, zone: str, day: str, hours: int
) -> None:
    following = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
    parameters = (("from", day), ("to", following), ("tz", zone))
    assert len((await trends(asker, *parameters, ("interval", "day")))["times"]) == 1
    times = (await trends(asker, *parameters, ("interval", "hour")))["times"]
    instants = [datetime.fromisoformat(time) for time in times]
    assert len(times) == hours
    assert {later - earlier for earlier, later in pairwise(instants)} == {timedelta(hours=1)}


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00"),
        ("Africa/Cairo", "2026-04-24", "2026-04-24T01:00:00+03:00"),
        ("America/Toronto", "1919-03-31", "1919-03-31T00:30:00-04:00"),
        ("America/Havana", "2026-11-01", "2026-11-01T00:00:00-04:00"),
    ],
)
async def test_a_day_without_midnight_begins_at_its_first_instant_and_one_with_two_at_the_first(
    asker: Asker, zone: str, day: str, begins: str
) -> None:
    following = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
    assert (await trends(asker, ("from", day), ("to", following), ("tz", zone)))["times"] == [
        begins
    ]


async def test_a_repeated_local_time_means_its_first_reading(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-10-25T00:29:00+00:00"),
            row("2026-10-25T00:31:00+00:00"),
            row("2026-10-25T01:31:00+00:00"),
        ]
    )
    assert (
        await one(
            asker,
            ("from", "2026-10-25T02:30"),
            ("to", "2026-10-25T02:30+01:00"),
            ("tz", "Europe/Berlin"),
        )
    )["total"] == 1


async def test_the_half_hour_that_lord_howe_repeats_is_a_bucket_of_its_own(asker: Asker) -> None:
    parameters = (
        ("from", "2026-04-05T01:00"),
        ("to", "2026-04-05T03:00"),
        ("tz", "Australia/Lord_Howe"),
        ("interval", "hour"),
    )
    assert (await trends(asker, *parameters))["times"] == [
        "2026-04-05T01:00:00+11:00",
        "2026-04-05T01:30:00+10:30",
        "2026-04-05T02:00:00+10:30",
    ]


async def test_clocks_that_change_between_hours_begin_a_bucket(asker: Asker) -> None:
    parameters = (
        ("from", "1919-03-30T23:00"),
        ("to", "1919-03-31T02:00"),
        ("tz", "America/Toronto"),
        ("interval", "hour"),
    )
    assert (await trends(asker, *parameters))["times"] == [
        "1919-03-30T23:00:00-05:00",
        "1919-03-31T00:30:00-04:00",
        "1919-03-31T01:00:00-04:00",
    ]


async def test_a_day_that_samoa_skipped_is_no_bucket(asker: Asker) -> None:
    times = (
        await trends(asker, ("from", "2011-12-29"), ("to", "2012-01-01"), ("tz", "Pacific/Apia"))
    )["times"]
    assert [time[:10] for time in times] == ["2011-12-29", "2011-12-31"]


async def test_weeks_begin_on_monday_and_months_on_the_first(asker: Asker) -> None:
    weeks = await trends(asker, ("from", "2026-11-04"), ("to", "2026-11-10"), ("interval", "week"))
    assert weeks["times"] == ["2026-11-02T00:00:00+00:00", "2026-11-09T00:00:00+00:00"]
    await asker.hold([row("2026-10-31T15:00"), row("2026-11-01T14:59"), row("2026-11-01T15:00")])
    east = await trends(
        asker,
        ("from", "2026-11-01"),
        ("to", "2026-11-09"),
        ("tz", "Asia/Tokyo"),
        ("interval", "week"),
    )
    assert (east["times"][0], east["series"][0]["values"]) == (
        "2026-10-26T00:00:00+09:00",
        [2, 1],
    )
    months = await trends(
        asker, ("from", "2026-01-31"), ("to", "2026-02-02"), ("interval", "month")
    )
    assert months["times"] == ["2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"]


async def test_an_offset_with_seconds_is_shown_in_utc_because_rfc_3339_cannot_say_it(
    asker: Asker,
) -> None:
    assert (
        await trends(asker, ("from", "1890-01-01"), ("to", "1890-01-02"), ("tz", "Europe/Berlin"))
    )["times"] == ["1889-12-31T23:06:32+00:00"]


# measures


async def test_an_empty_bucket_is_zero_for_what_is_counted_and_null_for_what_is_averaged(
    asker: Asker,
) -> None:
    await asker.hold([row("2026-11-02", n=3), row("2026-11-02", n=4)])
    values = {
        name: (await one(asker, ("measure", name)))["values"][:2]
        for name in ("count", "users", "sessions", "sum:metadata.n")
    }
    assert values == {
        "count": [2, 0],
        "users": [1, 0],
        "sessions": [1, 0],
        "sum:metadata.n": [7, 0],
    }
    for name, value in {"avg": 3.5, "min": 3, "max": 4, "p50": 3.5, "p90": 3.9}.items():
        assert (await one(asker, ("measure", f"{name}:metadata.n")))["values"] == [
            value,
            None,
            None,
        ]


async def test_an_actor_is_the_user_else_the_session_as_text(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", None, "x"),
            row("2026-11-02", "x", "y"),
            row("2026-11-02", "z", "x"),
            row("2026-11-03", None, "x"),
        ]
    )
    assert await one(asker, ("measure", "users")) == {"key": {}, "values": [2, 1, 0], "total": 2}


async def test_the_total_is_the_measure_over_the_range_not_the_sum_of_the_values(
    asker: Asker,
) -> None:
    await asker.hold(
        [row("2026-11-02", "u", n=1), row("2026-11-02", "u", n=2), row("2026-11-03", "u", n=6)]
    )
    assert await one(asker, ("measure", "users")) == {"key": {}, "values": [1, 1, 0], "total": 1}
    assert await one(asker, ("measure", "avg:metadata.n")) == {
        "key": {},
        "values": [1.5, 6, None],
        "total": 3,
    }


async def test_a_sum_is_exact_and_sees_json_numbers_only(asker: Asker) -> None:
    big = 2**62
    await asker.hold(
        [row("2026-11-02", n=value) for value in (big, big, big, "7", True, None, [1], {"a": 1})]
    )
    assert (await one(asker, ("measure", "sum:metadata.n")))["total"] == 3 * big


async def test_a_total_has_all_digits_of_its_buckets(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", n=10**30 + 1), row("2026-11-03", n=1)])
    assert await one(asker, ("measure", "sum:metadata.n")) == {
        "key": {},
        "values": [10**30 + 1, 1, 0],
        "total": 10**30 + 2,
    }


async def test_no_number_is_too_large_or_too_small_for_an_answer(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-02", n=Decimal(text)) for text in ("1e308", "-1e308", "1e308", "1e-400")]
    )
    for name in ("sum", "avg", "min", "max", "p50", "p99"):
        await trends(asker, ("measure", f"{name}:metadata.n"))
    assert (await one(asker, ("measure", "sum:metadata.n"), ("where", "metadata.n.gt.1")))[
        "total"
    ] == 2 * 10**308


# groups


async def test_groups_come_largest_first_then_in_code_point_order_then_the_missing_value(
    asker: Asker,
) -> None:
    rows = [row("2026-11-02", k=value) for value in ("é", "z", "Z", "a", "\uffff", "😀", "z")] + [
        row("2026-11-02"),
        row("2026-11-02", k=None),
    ]
    await asker.hold([*rows, row("2026-11-02", k="z")])
    keys = [
        item["key"]["metadata.k"] for item in (await trends(asker, ("by", "metadata.k")))["series"]
    ]
    assert keys == ["z", None, "Z", "a", "é", "\uffff", "😀"]
    await asker.hold([row("2026-11-02"), row("2026-11-02", k="a"), row("2026-11-02", k="")])
    assert [
        item["key"]["metadata.k"] for item in (await trends(asker, ("by", "metadata.k")))["series"]
    ] == ["", "a", None]


async def test_groups_without_a_number_come_last(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-02", k="a"), row("2026-11-02", k="b", n=-5), row("2026-11-02", k="c", n=2)]
    )
    items = (await trends(asker, ("by", "metadata.k"), ("measure", "avg:metadata.n")))["series"]
    assert [(item["key"]["metadata.k"], item["total"]) for item in items] == [
        ("c", 2),
        ("b", -5),
        ("a", None),
    ]


async def test_json_values_group_as_text(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02", k=value)
            for value in (1, "1", True, "true", Decimal("1.0"), Decimal("1e2"), 100)
        ]
    )
    items = (await trends(asker, ("by", "metadata.k")))["series"]
    assert {item["key"]["metadata.k"]: item["total"] for item in items} == {
        "1": 2,
        "true": 2,
        "1.0": 1,
        "100": 2,
    }


async def test_other_is_the_measure_over_all_rows_outside_the_shown_groups(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-02", "u", k=key) for key in ("a", "a", "b", "c")]
        + [row("2026-11-03", "u"), row("2026-10-31", "v", k="z")]
    )
    answer = await trends(
        asker, ("by", "metadata.k"), ("limit", "1"), ("measure", "users"), ("compare", "previous")
    )
    assert answer["series"] == [
        {
            "key": {"metadata.k": "a"},
            "values": [1, 0, 0],
            "total": 1,
            "previous": [0, 0, 0],
            "previous_total": 0,
        }
    ]
    assert answer["other"] == {
        "values": [1, 1, 0],
        "total": 1,
        "previous": [0, 1, 0],
        "previous_total": 1,
    }


async def test_other_is_null_when_every_group_is_shown(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", k="a"), row("2026-11-02")])
    assert (await trends(asker, ("by", "metadata.k")))["other"] is None
    assert (await trends(asker))["other"] is None
    nothing = await trends(asker, ("by", "metadata.k"), ("event", "nothing"))
    assert (nothing["series"], nothing["other"]) == ([], None)


# looking back


async def test_previous_is_as_many_buckets_before_the_first(asker: Asker) -> None:
    await asker.hold(
        [row(f"2026-10-{day}") for day in (29, 30, 30, 31)]
        + [row("2026-11-01"), row("2026-11-02T06:00"), row("2026-11-02T18:00")]
    )
    answer = await one(
        asker, ("from", "2026-11-02T12:00"), ("to", "2026-11-04T12:00"), ("compare", "previous")
    )
    assert answer == {
        "key": {},
        "values": [1, 0, 0],
        "total": 1,
        "previous": [2, 1, 1],
        "previous_total": 4,
    }


@pytest.mark.parametrize(
    ("measure", "previous", "total"),
    [
        ("users", [1, 2, 0], 2),
        ("sessions", [1, 2, 0], 2),
        ("p50:metadata.n", [5, 1.5, None], 2),
        ("avg:metadata.n", [5, 1.5, None], pytest.approx(8 / 3)),
        ("sum:metadata.n", [5, 3, 0], 8),
    ],
)
async def test_the_previous_total_is_the_measure_over_those_buckets_not_the_sum_of_their_values(
    asker: Asker, measure: str, previous: list[float | None], total: float
) -> None:
    await asker.hold(
        [
            row("2026-10-29T23:59", "c", "t", n=9),
            row("2026-10-30", "a", "u", n=5),
            row("2026-10-31", "a", "u", n=1),
            row("2026-10-31", "b", "v", n=2),
        ]
    )
    item = await one(asker, ("measure", measure), ("compare", "previous"))
    assert (item["previous"], item["previous_total"]) == (previous, total)


async def test_a_previous_total_counts_those_buckets_whole_and_nothing_that_rolls_into_them(
    asker: Asker,
) -> None:
    await asker.hold([row("2026-10-29"), row("2026-10-30"), row("2026-11-01T23:00")])
    for rolling in ("1", "2"):
        item = await one(
            asker,
            ("from", "2026-11-02T12:00"),
            ("to", "2026-11-04T12:00"),
            ("rolling", rolling),
            ("compare", "previous"),
        )
        assert item["previous_total"] == 2


async def test_a_previous_total_of_nothing_is_zero_or_null_as_the_measure_is(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", n=1)])
    for measure, nothing in (("users", 0), ("sum:metadata.n", 0), ("max:metadata.n", None)):
        item = await one(asker, ("measure", measure), ("compare", "previous"))
        assert item["previous_total"] == nothing


async def test_rolling_measures_over_several_buckets_and_looks_back_before_from(
    asker: Asker,
) -> None:
    await asker.hold(
        [
            row("2026-10-31", "a"),
            row("2026-11-01", "a"),
            row("2026-11-02", "a"),
            row("2026-11-03", "b"),
            row("2026-11-05", "c"),
        ]
    )
    assert await one(asker, ("rolling", "3"), ("measure", "users")) == {
        "key": {},
        "values": [1, 2, 2],
        "total": 2,
    }
    assert await one(asker, ("rolling", "3")) == {"key": {}, "values": [3, 3, 2], "total": 2}
    assert (await one(asker, ("rolling", "2"), ("compare", "previous")))["previous"] == [0, 1, 2]


# series


async def test_series_are_lettered_and_the_formula_is_taken_of_values_totals_and_previous(
    asker: Asker,
) -> None:
    seen = [row(day, event="see:a") for day in ("2026-11-02", "2026-11-02", "2026-11-01")]
    await asker.hold([*seen, row("2026-11-02", event="buy:a"), row("2026-11-03", event="buy:b")])
    answer = await trends(
        asker,
        ("series", "count@see"),
        ("series", "count@buy:a,x:y"),
        ("formula", "B/A*100"),
        ("compare", "previous"),
    )
    assert answer["series"] == [
        {
            "key": {"series": "A"},
            "values": [2, 0, 0],
            "total": 2,
            "previous": [0, 0, 1],
            "previous_total": 1,
        },
        {
            "key": {"series": "B"},
            "values": [1, 0, 0],
            "total": 1,
            "previous": [0, 0, 0],
            "previous_total": 0,
        },
        {
            "key": {"formula": "B/A*100"},
            "values": [50, None, None],
            "total": 50,
            "previous": [None, None, 0],
            "previous_total": 0,
        },
    ]
    assert answer["other"] is None


async def test_a_formula_of_null_is_null(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", n=4)])
    answer = await trends(
        asker, ("series", "avg:metadata.n@*"), ("series", "count@*"), ("formula", "-A+B*(1.5-2)")
    )
    assert answer["series"][2] == {
        "key": {"formula": "-A+B*(1.5-2)"},
        "values": [-4.5, None, None],
        "total": -4.5,
    }
