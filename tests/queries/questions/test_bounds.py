"""The bounds of a question: the largest that is answered, and the first that is refused.

A refusal names the parameter and the bound.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.errors import BadRequest
from analytics.queries import QUESTIONS
from analytics.queries.language import parameters
from analytics.queries.language.intervals import MAX_BUCKETS
from analytics.queries.questions.retention import retention
from analytics.queries.questions.trends import trends
from tests.queries.asker import Asker
from tests.queries.simple import DAYS, row

START = datetime(2026, 11, 1, tzinfo=UTC)
NEEDED = {"/breakdown": [("by", "event_type")], "/funnel": [("step", "a"), ("step", "b")]}


def minutes(count: int) -> tuple[tuple[str, str], ...]:
    """A range of so many minutes."""
    return (
        ("from", START.isoformat()),
        ("to", (START + timedelta(minutes=count)).isoformat()),
        ("interval", "minute"),
    )


async def refused(asker: Asker, path: str, *asked: tuple[str, str], **inside: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        await asker.ask(path, *asked, **inside)
    return caught.value


@pytest.mark.parametrize("path", ["/trends", "/sessions", "/lifecycle", "/stickiness"])
async def test_there_are_so_many_buckets_and_no_more(asker: Asker, path: str) -> None:
    await asker.hold([row("2026-11-02")])
    back = path == "/lifecycle"  # it looks one bucket back
    data = (await asker.ask(path, *minutes(MAX_BUCKETS - back)))["data"]
    assert (
        len(data.get("times") or data.get("buckets") or data["series"]["times"])
        == MAX_BUCKETS - back
    )
    error = await refused(asker, path, *minutes(MAX_BUCKETS + 1 - back))
    assert (error.code, error.field, "11,000" in error.message) == (
        "too_many_buckets",
        "interval",
        True,
    )


async def test_buckets_that_are_looked_back_at_are_counted(asker: Asker) -> None:
    for more in (("compare", "previous"), ("rolling", "1000")):
        error = await refused(asker, "/trends", *minutes(MAX_BUCKETS - 998), more)
        assert (error.code, error.field, "before the range" in error.message) == (
            "too_many_buckets",
            "interval",
            True,
        )


async def test_groups_times_buckets_are_bounded(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asker.hold([row("2026-11-02", k=key) for key in "abc"])
    by, days = ("by", "metadata.k"), len((await asker.ask("/trends", *DAYS))["data"]["times"])
    monkeypatch.setattr(trends, "MAX_VALUES", 2 * days)
    assert len((await asker.ask("/trends", *DAYS, by, ("limit", "2")))["data"]["series"]) == 2
    error = await refused(asker, "/trends", *DAYS, by, ("limit", "3"))
    assert (error.code, error.field, f"3 groups of {days} buckets" in error.message) == (
        "too_many_buckets",
        "limit",
        True,
    )


async def test_cohorts_and_their_periods_are_bounded(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asker.hold([])
    month = ("from", "2026-10-01"), ("to", "2026-10-31")
    monkeypatch.setattr(retention, "MAX_COUNTS", 30 * 8)
    assert len((await asker.ask("/retention", *month, ("periods", "8")))["data"]["cohorts"]) == 30
    error = await refused(asker, "/retention", *month, ("periods", "9"))
    assert (error.code, error.field, "30 cohorts of 9" in error.message) == (
        "too_many_buckets",
        "periods",
        True,
    )
    error = await refused(asker, "/retention", ("from", "1980-01-01"), ("to", "2026-01-01"))
    assert (error.code, error.field, "11,000" in error.message) == (
        "too_many_buckets",
        "period",
        True,
    )


LIMITED = [
    question.path for question in QUESTIONS if "limit" in parameters.parameters(question.query)
]


@pytest.mark.parametrize("path", LIMITED)
async def test_a_limit_is_one_at_least_and_a_thousand_at_most(asker: Asker, path: str) -> None:
    await asker.hold([])
    asked = NEEDED.get(path, [])
    inside: dict[str, Any] = {"id": "u"} if "{id" in path else {}
    answer = await asker.ask(path, *asked, ("limit", "1000"), **inside)
    assert answer["query"]["limit"] == 1000
    for limit, bound in ("0", "1"), ("1001", "1,000"):
        error = await refused(asker, path, *asked, ("limit", limit), **inside)
        assert (error.code, error.field, bound in error.message) == ("bad_parameter", "limit", True)


MANY = [
    ("/breakdown", [("by", "event_type,event_action,user_id,session_id")], "by", "3"),
    ("/breakdown", [("by", "event_type"), ("measure", ",".join(["count"] * 11))], "measure", "10"),
    ("/funnel", [("step", "a")] * 11, "step", "10"),
    ("/funnel", [("step", "a")], "step", "2"),
    ("/trends", [("series", "count@a")] * 27, "series", "26"),
    ("/trends", [("rolling", "1001")], "rolling", "1,000"),
    ("/trends", [("by", "metadata" + ".a" * 33)], "by", "32"),
    ("/trends", [("where", "metadata.a.re." + "a" * 201)], "where", "200"),
    ("/retention", [("periods", "1001")], "periods", "1,000"),
    ("/paths", [("depth", "101")], "depth", "100"),
    ("/events", [("project", "p" * 65)], "project", "64"),
    ("/trends", [("event", ",".join("a" * 101))], "event", "100"),
    ("/trends", [("event", ",".join(["a:b"] * 101))], "event", "100"),
    ("/trends", [("where", "metadata.a.contains." + ",".join("a" * 101))], "where", "100"),
    (
        "/breakdown",
        [("by", "event_type"), ("where", "user_id.ncontains" + ".a" + ",a" * 100)],
        "where",
        "100",
    ),
    ("/events", [("where", "user_id.set")] * 101, "where", "100"),
    ("/users", [("where", "metadata" + ".a" * 32 + ".set")] * 4, "where", "100"),
    ("/funnel", [("step", ",".join("a" * 11))] * 10, "step", "100"),
    ("/trends", [("series", "count@" + ",".join("a" * 11))] * 10, "series", "100"),
    (
        "/retention",
        [("start", ",".join("a" * 60)), ("return", ",".join("a" * 61))],
        "return",
        "100",
    ),
]


@pytest.mark.parametrize(
    ("path", "asked", "field", "bound"),
    MANY,
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_too_many_is_refused_with_the_bound(
    asker: Asker, path: str, asked: list[tuple[str, str]], field: str, bound: str
) -> None:
    error = await refused(asker, path, *asked)
    assert (error.code, error.field, bound in error.message) == ("bad_parameter", field, True)


async def test_a_list_of_equal_values_is_one_condition_however_long(asker: Asker) -> None:
    await asker.hold([row("2026-11-02")])
    many = ",".join(map(str, range(5_000)))
    asked = ("where", f"user_id.nin.{many}"), ("where", f"metadata.a.ne.{many}")
    assert (await asker.ask("/events", ("from", "2026-11-01"), *asked))["data"]["rows"]


async def test_a_range_ends_where_years_do(asker: Asker) -> None:
    await asker.hold([row("2026-11-02")])
    ever = ("from", "0001-01-02"), ("to", "9999-12-30")
    assert (await asker.ask("/events", *ever))["data"]["rows"]
    assert (await refused(asker, "/events", ("last", "999999w"))).field == "last"
    assert (await refused(asker, "/trends", *ever)).field == "interval"
