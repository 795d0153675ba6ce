"""Nobody waits for somebody else's question: what may take long is done beside the event loop."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from analytics.queries.language.formula import Formula
from analytics.queries.precomputed.rollup import Rollup
from analytics.queries.questions.funnel import funnel
from analytics.queries.questions.trends import source
from tests.queries.asker import Asker
from tests.queries.simple import DAYS, row
from tests.queries.storing import Storer

ROWS = [row("2026-11-02T01:00", k="a", event="a:x"), row("2026-11-02T02:00", k="b", event="b:x")]


class Workers:
    """The threads in which a function is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.seen: set[threading.Thread] = set()
        function: Callable[..., Any] = getattr(owner, name)

        def noted(*arguments: Any) -> Any:
            self.seen.add(threading.current_thread())
            return function(*arguments)

        monkeypatch.setattr(owner, name, noted)

    def are_others(self) -> bool:
        """Whether it was called, and never on the loop."""
        return bool(self.seen) and threading.current_thread() not in self.seen


@pytest.fixture
async def compacted(storer: Storer, rather_precomputed: None) -> Storer:
    """The rows, of which rollups tell."""
    await storer.empty()
    await storer.write(ROWS)
    await storer.store.compact()
    return storer


async def test_a_formula_is_calculated_beside_the_loop(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asker.hold(ROWS)
    workers = Workers(monkeypatch, Formula, "of")
    asked = ("series", "count@a"), ("series", "count@*"), ("formula", "A/B*100")
    lines = (await asker.ask("/trends", *DAYS, *asked))["data"]["series"]
    assert lines[-1]["total"] == 50
    assert workers.are_others()


async def test_lines_of_raw_rows_are_sorted_beside_the_loop(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asker.hold(ROWS)
    workers = Workers(monkeypatch, source, "by_slot")
    data = (await asker.ask("/trends", *DAYS, ("by", "metadata.k")))["data"]
    assert [line["total"] for line in data["series"]] == [1, 1]
    assert workers.are_others()


async def test_names_are_matched_to_steps_beside_the_loop(
    compacted: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Workers(monkeypatch, funnel, "_marks")
    asked = ("step", "a"), ("step", "b"), ("order", "any"), ("unit", "session")
    answer = await compacted.ask("/funnel", *DAYS, *asked)
    assert [step["n"] for step in answer["data"]["steps"]] == [1, 1]
    assert workers.are_others()


async def test_raw_rows_are_added_to_rollups_beside_the_loop(
    compacted: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Workers(monkeypatch, Rollup, "_add_raw")
    asked = ("from", "2026-11-02T00:30"), ("to", "2026-11-02T02:30"), ("measure", "users")
    answer = await compacted.ask("/trends", *asked)
    assert [line["total"] for line in answer["data"]["series"]] == [1]
    assert workers.are_others()
