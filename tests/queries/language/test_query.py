"""What queries have in common: their shape, their name, and until when events matter to them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.queries import QUESTIONS
from analytics.queries.language import parameters
from analytics.queries.language.query import FilteredQuery

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHAPES = [
    ("/trends", "last=30d&event=a", "last=29d&event=b&tz=Europe/Berlin&limit=3", True),
    ("/trends", "last=30d", "last=90d", False),
    ("/trends", "where=metadata.a.re.x", "where=metadata.a.re.y", True),
    ("/trends", "where=metadata.a.re.x", "where=metadata.a.eq.x", False),
    ("/trends", "where=metadata.a.eq.x", "where=metadata.b.eq.x", False),
    ("/trends", "where=metadata.a.eq.x", "", False),
    ("/trends", "by=event_type", "by=metadata.a", False),
    ("/trends", "measure=users", "measure=p99:metadata.a", False),
    ("/trends", "project=a", "project=b", False),
    ("/funnel", "step=a&step=b", "step=c&step=d", True),
    ("/funnel", "step=a&step=b", "step=a&step=b&step=c", False),
    ("/funnel", "step=a&step=b", "step=a&step=b&order=strict", False),
]


@pytest.mark.parametrize(("path", "one", "other", "alike"), SHAPES)
def test_questions_of_one_shape_differ_in_values_only(
    path: str, one: str, other: str, alike: bool
) -> None:
    kind = next(question.query for question in QUESTIONS if question.path == path)
    shapes = [
        parameters.read(
            kind, query.encode(), {}, now=datetime(2026, 11, 23, tzinfo=UTC), project="p"
        ).shape
        for query in (one, other)
    ]
    assert (shapes[0] == shapes[1]) is alike
    assert len({*shapes}) == 2 - alike


def read(query: str, now: datetime = NOW) -> FilteredQuery:
    return parameters.read(FilteredQuery, query.encode(), {}, now=now, project="p")


@pytest.mark.parametrize(
    ("query", "relative"),
    [
        ("", ["from", "to"]),
        ("last=7d", ["from", "to"]),
        ("from=2026-11-02", ["to"]),
        ("last=7d&to=2026-11-22", ["from"]),
        ("from=2026-11-02&to=2026-11-05", []),
    ],
)
def test_what_is_relative_to_now_is_no_part_of_the_name_of_an_answer(
    query: str, relative: list[str]
) -> None:
    def named(now: datetime) -> dict[str, Any]:
        return read(query, now).as_given(now)

    assert [name for name in ("from", "to") if named(NOW)[name] is None] == relative
    assert named(NOW) == named(NOW + timedelta(seconds=9))
    assert named(NOW) != read(f"{query}&event=a", NOW).as_given(NOW)


def test_events_matter_until_the_end_of_the_range_which_may_be_to_come() -> None:
    past, future = (read(f"from=2026-11-02&to={end}") for end in ("2026-11-05", "2026-12-01"))
    assert past.until == past.reach(NOW) == datetime(2026, 11, 5, tzinfo=UTC)
    assert (future.until, future.reach(NOW)) == (datetime(2026, 12, 1, tzinfo=UTC), NOW)


def test_patterns_are_those_of_the_filters_that_have_one() -> None:
    query = "where=metadata.a.re.^x&where=metadata.a.eq.y&where=user_id.re.z"
    assert read(query).patterns == ["^x", "z"]
