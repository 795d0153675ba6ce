"""Before PostgreSQL knows the size of its tables, answers take about as long as after."""

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import func, select

from analytics.embedded import Postgres
from analytics.queries.database import estimates
from analytics.queries.database.estimates import Estimates
from analytics.queries.database.snapshot import _estimates, open_snapshot
from tests.queries.asker import StillQueue
from tests.queries.questions.test_users import LIST, ONE, TIMELINE
from tests.queries.simple import DAYS, row
from tests.queries.storing import Storer, opened

NAMES = 8_000


@pytest.fixture(scope="module")
async def hub(postgres_server: Postgres, migrated_database: str) -> AsyncIterator[Storer]:
    """One user who has just claimed thousands of ids, and other visitors; no statistics."""
    async with opened(postgres_server, migrated_database) as storer:
        tables = await storer.connection.fetch(
            "select oid::regclass::text from pg_class where relkind = 'r'"
            " and relnamespace = current_schema()::regnamespace"
        )
        for (name,) in tables:
            await storer.connection.execute(f"alter table {name} set (autovacuum_enabled = off)")
        for first in range(0, NAMES, 1000):
            claims = [
                row(
                    "2026-11-03",
                    "hub",
                    f"s{at}",
                    "identify:identify",
                    **{"$anonymous_id": f"d{at}"},
                )
                for at in range(first, first + 1000)
            ]
            visits = [row("2026-11-02", None, f"d{at}") for at in range(first, first + 1000)]
            others = [row("2026-11-04", f"u{at}", plan="pro") for at in range(first, first + 500)]
            await storer.write([*claims, *visits, *others])
        yield storer


Question = tuple[str, Sequence[tuple[str, str]], dict[str, str]]

QUESTIONS: dict[str, Question] = {
    "users": (LIST, DAYS, {}),
    "the next page of users": (LIST, (*DAYS, ("limit", "1000")), {}),
    "the user": (ONE, DAYS, {"id": "hub"}),
    "the user by a claimed id": (ONE, DAYS, {"id": "d7"}),
    "the user's timeline": (TIMELINE, DAYS, {"id": "hub"}),
    "trends": ("/trends", (*DAYS, ("measure", "users"), ("where", "metadata.plan.unset")), {}),
    "breakdown": ("/breakdown", (*DAYS, ("by", "metadata.plan"), ("measure", "users")), {}),
    "funnel": (
        "/funnel",
        (*DAYS, ("step", "*:view"), ("step", "identify"), ("where", "metadata.x.unset")),
        {},
    ),
    "paths": ("/paths", (*DAYS, ("start", "identify"), ("where", "metadata.x.unset")), {}),
    "sessions": ("/sessions", (*DAYS, ("where", "metadata.x.unset")), {}),
    "retention": ("/retention", (*DAYS, ("where", "metadata.x.unset")), {}),
    "lifecycle": ("/lifecycle", (*DAYS, ("where", "metadata.x.unset")), {}),
}


async def seconds(storer: Storer, question: Question) -> tuple[float, Any]:
    """The best of some tries, and the answer."""
    path, parameters, inside = question
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        answer = await storer.ask(path, *parameters, **inside)  # type: ignore[arg-type]
        best = min(best, time.perf_counter() - began)
    return best, answer["data"]


async def test_a_person_with_thousands_of_names_is_answered_for_as_soon_as_the_names_came(
    hub: Storer,
) -> None:
    """With statistics the same questions take as long: before, they took a hundred times that."""
    before = {name: await seconds(hub, question) for name, question in QUESTIONS.items()}
    await hub.connection.execute("analyze")
    _estimates.clear()
    after = {name: await seconds(hub, question) for name, question in QUESTIONS.items()}
    for name, (late, answer) in after.items():
        early, same = before[name]
        assert same == answer, name
        assert early < 10 * late + 0.1, f"{name}: {early:.2f} s, and {late:.2f} s with statistics"
    data = after["the user"][1]["rows"]
    assert [(user["id"], user["events"]) for user in data] == [("hub", 2 * NAMES)]


async def may_loop(storer: Storer) -> bool:
    async with open_snapshot(storer.engine, StillQueue(), None, "default") as snapshot:  # type: ignore[arg-type]
        ((setting,),) = await snapshot.rows(select(func.current_setting("enable_nestloop")))
    return bool(setting == "on")


async def test_nested_loops_wait_for_statistics(hub: Storer) -> None:
    await hub.connection.execute("delete from pg_statistic")
    await hub.connection.execute("select pg_stat_reset()")
    _estimates.clear()
    assert not await may_loop(hub)
    await hub.connection.execute("analyze people")
    assert not await may_loop(hub), "the links are not known yet"
    await hub.connection.execute("analyze identity_links")
    assert await may_loop(hub)
    async with hub.engine.connect() as connection:
        setting = await connection.exec_driver_sql("SHOW enable_nestloop")
        assert setting.scalar_one() == "on", "it is of the transaction"


async def test_right_estimates_are_trusted_for_a_while_until_a_table_has_doubled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def expected(_: Any, table: str, project: str) -> int:
        asked.append(table)
        return 100

    class Connection:
        forbidden = 0

        async def exec_driver_sql(self, statement: str) -> None:
            assert statement == estimates.NO_NESTED_LOOPS
            self.forbidden += 1

    monkeypatch.setattr(estimates, "_expected", expected)
    known, connection = Estimates(), Connection()

    async def heed(people: int, links: int) -> tuple[int, int]:
        asked.clear()
        connection.forbidden = 0
        rows = {"people": people, "identity_links": links}
        await known.heed(connection, "p", rows)  # type: ignore[arg-type]
        return len(asked), connection.forbidden

    assert await heed(100, 50) == (2, 0)
    assert await heed(200, 100) == (0, 0)
    assert await heed(201, 50) == (2, 0)
    assert await heed(201, 1000) == (2, 1)
    assert await heed(201, 1000) == (2, 1), "what was wrong is asked for again"
    assert await heed(1000, 50) == (1, 1)
    monkeypatch.setattr(estimates, "MANY", 300)
    assert await heed(1000, 50) == (2, 0), "nobody reads so many again and again"
    monkeypatch.setattr(estimates, "TRUSTED_SECONDS", -1)
    assert await heed(10_000, 50) == (2, 0)
    assert await heed(10_000, 50) == (2, 0)
