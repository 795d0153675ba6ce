"""A VALUE is text as it stands: every question and realtime find the same rows by it.

Each row is a person and a session of its own, so that every question counts rows.
"""

import json
from collections import Counter
from typing import Any

import pytest

from analytics.queries import QUESTIONS
from analytics.queries.language.filters import EventFilter, Where
from analytics.queries.language.matching import Filter, View
from analytics.queries.language.work import Work
from tests.queries.simple import row
from tests.queries.storing import Storer, event

VALUES: tuple[Any, ...] = (
    *(30, "30", "30.0", "3e1", "30 ", 30.5, "30.5", 0, "0", "-0", "+0", -1, "", "null"),
    *(True, "true", "True", None, [30], {"a": 30}, "a,b", "a.b", "50%", "é"),
)
"""Numbers as they are stored, in canonical form."""

FOUND: dict[str, tuple[Any, ...]] = {
    "eq.30": (30, "30"),
    "eq.30.0": ("30.0",),
    "eq.3e1": ("3e1",),
    "eq.30%20": ("30 ",),
    "eq.30.5": (30.5, "30.5"),
    "eq.0": (0, "0"),
    "eq.-0": ("-0",),
    "eq.+0": ("+0",),
    "in.30,-1,true": (30, "30", -1, True, "true"),
    "eq.": ("",),
    "eq.null": ("null",),
    "eq.[30]": ([30],),
    'eq.{"a": 30}': ({"a": 30},),
    "eq.a%2Cb": ("a,b",),
    "eq.a.b": ("a.b",),
    "eq.50%25": ("50%",),
    "eq.%C3%A9": ("é",),
    "re.^30$": (30, "30"),
    "gte.30": (30, 30.5),
    "lt.3e1": (0, -1),
    "gt.-0": (30, 30.5),
    "unset": (None,),
}
ROWS = [
    row(f"2026-11-{day:02}T10:00", f"u{at}", f"s{at}", k=value)
    for at, value in enumerate(VALUES)
    for day in (2 + at % 3,)
]
RANGE = (("from", "2026-11-02"), ("to", "2026-11-05"))


def complement(found: tuple[Any, ...]) -> int:
    return len(VALUES) - len(found)


COUNTED = {f"k.{filter_}": len(found) for filter_, found in FOUND.items()} | {
    f"k.{filter_.replace('eq.', 'ne.', 1)}": complement(found)
    for filter_, found in FOUND.items()
    if filter_.startswith("eq.")
}
HOW: dict[str, tuple[tuple[tuple[str, str], ...], Any]] = {
    "/trends": ((), lambda data: data["series"][0]["total"]),
    "/breakdown": ((("by", "event_type"),), lambda data: sum(row[1] for row in data["rows"])),
    "/funnel": ((("step", "e"), ("step", "f")), lambda data: data["steps"][0]["n"]),
    "/retention": (
        (("mode", "recurring"),),
        lambda data: sum(cohort["size"] for cohort in data["cohorts"]),
    ),
    "/sessions": ((), lambda data: data["sessions"]),
    "/lifecycle": ((), lambda data: sum(data["new"])),
    "/stickiness": ((), lambda data: sum(data["users"])),
    "/users": ((), lambda data: len(data["rows"])),
    "/events": ((), lambda data: len(data["rows"])),
    "/schema": ((), lambda data: sum(row["count"] for row in data["event_types"])),
}


@pytest.fixture(scope="module")
async def stored(storer: Storer, rather_precomputed: None) -> Storer:
    await storer.write(ROWS)
    await storer.store.compact()
    await storer.tend()
    return storer


@pytest.mark.parametrize("where", COUNTED)
async def test_every_question_finds_the_same_rows_and_finds_them_again(
    stored: Storer, where: str
) -> None:
    for path, (needed, count) in HOW.items():
        for _ in range(2):  # the second time from what is remembered of days
            parameters = (*RANGE, *needed, ("where", f"metadata.{where}"))
            answer = await stored.ask(path, *parameters)
            assert count(answer["data"]) == COUNTED[where], path


def test_no_question_with_filters_is_forgotten() -> None:
    elsewhere = {"/paths", "/export", "/users/{id:path}", "/users/{id:path}/timeline"}
    filtered = {question.path for question in QUESTIONS if hasattr(question.query, "where")}
    assert filtered == {*HOW} | elsewhere


@pytest.mark.parametrize("where", COUNTED)
def test_realtime_finds_them_too(where: str) -> None:
    passes = Filter(EventFilter.read("*"), [Where.read(f"metadata.{where}")])
    assert sum(passes(View(event(row)), Work()) for row in ROWS) == COUNTED[where]


async def test_equal_texts_are_one_group(stored: Storer) -> None:
    groups = Counter(
        None if value is None else value if isinstance(value, str) else json.dumps(value)
        for value in VALUES
    )
    for path in ("/trends", "/breakdown"):
        by = (*RANGE, ("by", "metadata.k"), ("limit", "100"))
        data = (await stored.ask(path, *by))["data"]
        if path == "/trends":
            told = {item["key"]["metadata.k"]: item["total"] for item in data["series"]}
        else:
            told = dict(data["rows"])
        assert told == groups
