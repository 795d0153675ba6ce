"""The exact meanings of `event` and `where`, one by one."""

from typing import Any
from urllib.parse import quote

import pytest

from analytics.errors import BadRequest
from tests.queries.asker import Asker
from tests.queries.oracle import Row
from tests.queries.simple import one, row, trends

FILTERED = ["a", "b", "A", "a,b", "a.b", "50%", "%41", "", 5, "5", 7.5, True, None, [1], {"x": 1}]
ALL = set(range(len(FILTERED) + 1))
"""Metadata `k` of each row; the last row has none."""


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("metadata.k.eq.a", {0}),
        ("metadata.k.eq.a,b", {0, 1}),
        ("metadata.k.in.a%2Cb", {3}),
        ("metadata.k.eq.a.b", {4}),
        ("metadata.k.eq.50%", {5}),
        ("metadata.k.eq.%2541", {6}),
        ("metadata.k.eq.%41", {2}),
        ("metadata.k.eq.", {7}),
        ("metadata.k.eq.5", {8, 9}),
        ("metadata.k.eq.7.5", {10}),
        ("metadata.k.eq.true", {11}),
        ("metadata.k.eq.null", set()),
        ("metadata.k.ne.a", ALL - {0}),
        ("metadata.k.nin.a,b", ALL - {0, 1}),
        ("metadata.k.contains.b", {1, 3, 4}),
        ("metadata.k.contains.b,A", {1, 2, 3, 4}),
        ("metadata.k.contains.", ALL - {12, 15}),
        ("metadata.k.ncontains.b,A", ALL - {1, 2, 3, 4}),
        ("metadata.k.re.^a,b$", {3}),
        ("metadata.k.re.^[ab].?", {0, 1, 3, 4}),
        ("metadata.k.re.(?i)^A$", {0, 2}),
        ("metadata.k.gt.4", {8, 10}),
        ("metadata.k.gte.5", {8, 10}),
        ("metadata.k.lt.7.5", {8}),
        ("metadata.k.lte.75e-1", {8, 10}),
        ("metadata.k.set", ALL - {12, 15}),
        ("metadata.k.unset", {12, 15}),
        ("metadata.k.x.eq.1", {14}),
        ("metadata.k.0.eq.1", set()),
        ("event_type.gt.0", set()),
        ("user_id.unset", {12}),
        ("user_id.ne.u", {12}),
        ("session_id.contains.s", ALL),
    ],
)
async def test_where(asker: Asker, where: str, expected: set[int]) -> None:
    rows = [
        row("2026-11-02", None if at == 12 else "u", f"s{at}", k=value)
        for at, value in enumerate(FILTERED)
    ]
    await asker.hold([*rows, row("2026-11-02", "u", f"s{len(FILTERED)}")])
    answer = await trends(asker, ("where", where), ("by", "session_id"), ("limit", "100"))
    assert {int(item["key"]["session_id"][1:]) for item in answer["series"]} == expected


AWKWARD = [
    "a+b",
    "a b",
    "a%2Bb",
    "a%2520b",
    "*",
    "a&b=c",
    "#h",
    "a;b",
    "eq",
    "x.eq.y",
    "\\",
    "'\"",
    "💥",
]


async def test_every_value_that_a_group_shows_can_be_asked_for(asker: Asker) -> None:
    await asker.hold([row("2026-11-02", f"u{value}", k=value) for value in AWKWARD])
    for value in AWKWARD:
        where = ("where", f"metadata.k.eq.{quote(value, safe='')}")
        [series] = (await trends(asker, ("by", "metadata.k"), where))["series"]
        assert (series["key"], series["total"]) == ({"metadata.k": value}, 1)


@pytest.mark.parametrize(
    ("where", "key"),
    [
        ("metadata.set.set", "set"),
        ("metadata.%65q.eq.1", "eq"),
        ("metadata.a%2Eb.eq.1", "a.b"),
        ("metadata.a%252Eb.eq.1", "a%2Eb"),
    ],
)
async def test_keys_that_look_like_something_else_can_be_written(
    asker: Asker, where: str, key: str
) -> None:
    metadata: dict[str, Any] = {key: 1}
    await asker.hold([row("2026-11-02", **metadata), row("2026-11-02", other=1)])
    assert (await one(asker, ("where", where)))["total"] == 1


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("*", 5),
        ("a", 2),
        ("a:x", 1),
        ("*:x", 3),
        ("a:x,b", 2),
        ("*:*", 5),
        ("%2A", 1),
        ("a%3Ab", 1),
        ("a,a:x", 2),
        ("A", 0),
    ],
)
async def test_event(asker: Asker, event: str, expected: int) -> None:
    rows = [row("2026-11-02", event=name) for name in ("a:x", "a:y", "b:x", "*:x")]
    named = row("2026-11-02")
    await asker.hold([*rows, Row(named.id, named.timestamp, "s", None, "a:b", "y", {})])
    assert (await one(asker, ("event", event)))["total"] == expected


@pytest.mark.parametrize(
    "pattern",
    ["(", "a{2,1}", "[[:nope:]]", "*a", "((((((((((a{1,255}){1,255}){1,255}){1,255}){1,255}))))))"],
)
async def test_a_pattern_that_postgresql_refuses_is_named_even_when_there_are_no_rows(
    asker: Asker, pattern: str
) -> None:
    await asker.hold([])
    with pytest.raises(BadRequest, match="PostgreSQL refuses the pattern") as caught:
        await trends(asker, ("where", f"metadata.k.re.{pattern}"))
    assert caught.value.field == "where"
