"""Values of many kilobytes: what an answer shows and what a statement brings are bounded by bytes.

Each question is answered from what is remembered, which it reads first, and from raw rows.
"""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import pytest

from analytics.errors import BadRequest
from analytics.queries.database import texts
from analytics.queries.database.memory import OVERHEAD_BYTES, Memory
from analytics.queries.database.snapshot import Snapshot, _memories
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.questions.funnel import funnel
from analytics.queries.sequences import packed_days
from tests.queries.simple import row
from tests.queries.storing import Storer

RANGE = [("from", "2026-10-01"), ("to", "2026-10-15")]
LONG = 1_000
"""Bytes of each value."""

FILL = "ж" * ((LONG - 4) // 2)
BUDGET = 20 * LONG

Asked = list[tuple[str, str]]

BY = [("by", "metadata.long")]
QUESTIONS: list[tuple[str, Asked]] = [
    ("/breakdown", BY),
    ("/breakdown", [("by", "metadata.long,event_type"), ("measure", "users,sum:metadata.n")]),
    ("/breakdown", [*BY, ("measure", "sessions")]),
    ("/trends", BY),
    ("/trends", [*BY, ("measure", "sum:metadata.n")]),
    ("/trends", [*BY, ("measure", "sessions")]),
    ("/funnel", [*BY, ("step", "e:a"), ("step", "e:b")]),
    ("/paths", BY),
]


def long(at: int) -> str:
    return f"{at:04}{FILL}"


@pytest.fixture(scope="module")
async def filled(storer: Storer) -> Storer:
    """Forty values of a thousand bytes, each of its own person, on one day."""
    await storer.empty()
    await storer.write(
        [
            row(f"2026-10-05T{hour:02}", f"u{at}", f"s{at}", event, long=long(at), n=at)
            for at in range(40)
            for hour, event in ((1, "e:a"), (2, "e:b"))
        ]
    )
    await storer.store.compact()
    return storer


@pytest.fixture(params=[False, True], ids=["remembered", "raw"])
def asked(request: pytest.FixtureRequest, filled: Storer) -> Iterator[Storer]:
    """Answers from days that are remembered, if they may be, or from raw rows alone."""
    if not request.param:
        yield filled
        return

    async def nothing(*arguments: Any, **named: Any) -> None:
        return None

    with (
        patch.object(Rollup, "buckets", nothing),
        patch.object(Rollup, "summaries", nothing),
        patch.object(packed_days, "load", nothing),
    ):
        yield filled


def shown(answer: Any) -> int:
    """The bytes of long values in an answer."""
    return LONG * json.dumps(answer["data"], ensure_ascii=False).count(FILL)


async def answered(asker: Storer, path: str, parameters: Asked, limit: int) -> Any:
    """The answer of an api that remembers nothing yet."""
    _memories[asker.engine] = Memory()
    return await asker.ask(path, *RANGE, *parameters, ("limit", str(limit)))


@pytest.mark.parametrize(("path", "parameters"), QUESTIONS)
async def test_an_answer_shows_so_many_bytes_of_values_and_no_more(
    asked: Storer, path: str, parameters: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await answered(asked, path, parameters, 5)
    assert shown(whole)
    monkeypatch.setattr(texts, "MAX_TEXT_BYTES", BUDGET)
    monkeypatch.setattr(funnel, "LONG_BYTES", LONG)
    assert (await answered(asked, path, parameters, 5))["data"] == whole["data"]
    with pytest.raises(BadRequest, match="limit") as caught:
        await answered(asked, path, parameters, 40)
    assert (caught.value.code, caught.value.field) == ("too_costly", "by")


async def test_the_rows_of_a_funnel_repeat_so_many_bytes_of_long_values_and_no_more(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "MAX_TEXT_BYTES", BUDGET)
    monkeypatch.setattr(funnel, "LONG_BYTES", LONG - 1)
    steps = [*BY, ("step", "e:a"), ("step", "e:b")]
    with (
        patch.object(packed_days, "load", return_value=None),
        pytest.raises(BadRequest, match="limit"),
    ):
        await answered(filled, "/funnel", steps, 5)
    few = [*steps, ("where", "metadata.n.lt.10")]
    with patch.object(packed_days, "load", return_value=None):
        assert shown(await answered(filled, "/funnel", few, 5)) == 5 * LONG


@pytest.fixture
async def brought(filled: Storer) -> AsyncIterator[list[int]]:
    """The bytes of long values in the rows of each statement."""
    sizes: list[int] = []
    rows = Snapshot.rows

    async def noted(*arguments: Any, **named: Any) -> Sequence[Any]:
        found = await rows(*arguments, **named)
        sizes.append(LONG * sum(str(tuple(each)).count(FILL) for each in found))
        return found

    with patch.object(Snapshot, "rows", noted):
        yield sizes


@pytest.mark.parametrize(
    ("path", "parameters"), [each for each in QUESTIONS if each[0] != "/funnel"]
)
async def test_no_statement_brings_more_bytes_than_that(
    asked: Storer,
    brought: list[int],
    path: str,
    parameters: Asked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(texts, "MAX_TEXT_BYTES", BUDGET)
    await answered(asked, path, parameters, 5)
    assert 0 < max(brought) <= BUDGET


async def test_what_is_remembered_counts_the_bytes_of_values(filled: Storer) -> None:
    for path, parameters in QUESTIONS:
        if "sessions" not in str(parameters) or path == "/trends":
            await answered(filled, path, parameters, 5)
            assert _memories[filled.engine].used_bytes > 40 * (LONG + OVERHEAD_BYTES)


async def test_a_schema_has_the_most_frequent_keys_that_fit(
    asked: Storer, brought: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked.empty()
    keys: dict[str, Any] = {long(at): 1 for at in range(40)}
    await asked.write([row("2026-10-05", n=1), row("2026-10-05", n=1, **keys)])
    await asked.store.compact()
    monkeypatch.setattr(texts, "MAX_TEXT_BYTES", BUDGET)
    for _ in range(2):
        answer = await asked.ask("/schema", *RANGE)
        found = [(key["key"], key["count"]) for key in answer["data"]["metadata_keys"]]
        assert found == [("n", 2), *((long(at), 1) for at in range(19))]
    assert max(brought) <= BUDGET


async def test_of_short_names_a_schema_has_those_that_fit_too(
    asked: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked.empty()
    await asked.write([row("2026-10-05", event=f"т{at:02}:a") for at in range(40)])
    await asked.store.compact()
    monkeypatch.setattr(texts, "MAX_TEXT_BYTES", 30)
    types = (await asked.ask("/schema", *RANGE))["data"]["event_types"]
    assert [type_["event_type"] for type_ in types] == [f"т{at:02}" for at in range(7)]
