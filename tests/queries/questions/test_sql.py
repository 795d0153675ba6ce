"""Golden SQL for a few questions, and proof that names and values never become SQL.

To renew the golden files after an intended change: `python -m tests.queries.questions.test_sql`.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from analytics.queries import QUESTIONS
from analytics.queries.database.identity import NO_LINKS
from analytics.queries.database.memory import Memory
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language import parameters
from analytics.queries.language.measures import Statement
from tests.examples import examples

GOLDEN = Path(__file__).parents[1] / "golden"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAYS = [("from", "2026-11-01"), ("to", "2026-11-04")]

FILTERS = [
    ("where", text)
    for text in (
        "metadata.plan.in.pro,team",
        "user_id.ncontains.bot",
        "metadata.n.gte.3",
        "metadata.page.re.^/blog",
    )
]
CASES: dict[str, tuple[Any, ...]] = {
    "trends": ("/trends", [*DAYS]),
    "trends_users_by": (
        "/trends",
        [*DAYS, ("measure", "users"), ("by", "metadata.page"), ("limit", "2")],
    ),
    "trends_compared": (
        "/trends",
        [*DAYS, ("measure", "users"), ("where", "user_id.re.a"), ("compare", "previous")],
    ),
    "trends_compared_rollup": (
        "/trends",
        [*DAYS, ("measure", "users"), ("compare", "previous")],
        True,
    ),
    "trends_sessions_by": (
        "/trends",
        [*DAYS, ("measure", "sessions"), ("by", "metadata.page"), ("limit", "2")],
    ),
    "trends_rolling_sum": (
        "/trends",
        [*DAYS, ("measure", "sum:metadata.cart.total"), ("rolling", "7")],
    ),
    "trends_rolling_users": ("/trends", [*DAYS, ("measure", "users"), ("rolling", "7")]),
    "trends_rollup": ("/trends", [*DAYS, ("measure", "users"), ("event", "a,b:c")], True),
    "trends_rollup_by": (
        "/trends",
        [
            ("from", "2026-11-01T00:30"),
            ("to", "2026-11-04"),
            ("measure", "users"),
            ("by", "metadata.page"),
            ("limit", "2"),
        ],
        True,
    ),
    "funnel_columns": (
        "/funnel",
        [
            *DAYS,
            ("step", "page"),
            ("step", "account:signup"),
            ("by", "metadata.plan"),
            ("where", "user_id.set"),
        ],
        True,
    ),
    "paths_columns": ("/paths", [*DAYS, ("unit", "session")], True),
    "trends_unchanged": (
        "/trends",
        [
            *DAYS,
            ("measure", "users"),
            ("where", "metadata.plan.eq.pro"),
            ("where", "user_id.set"),
            ("by", "metadata.page"),
        ],
        True,
    ),
    "trends_unchanged_sum": (
        "/trends",
        [
            ("from", "2026-11-01T00:30"),
            ("to", "2026-11-04"),
            ("measure", "sum:metadata.n"),
            ("by", "metadata.page"),
        ],
        True,
    ),
    "trends_unchanged_percentile": (
        "/trends",
        [*DAYS, ("measure", "p95:metadata.ms"), ("event", "api:call")],
        True,
    ),
    "trends_percentile": (
        "/trends",
        [*DAYS, ("measure", "p95:metadata.ms"), ("event", "api:call,*:rpc")],
    ),
    "breakdown": (
        "/breakdown",
        [
            *DAYS,
            ("by", "metadata.page,event_type"),
            ("measure", "count,avg:metadata.ms"),
            ("sort", "event_type"),
        ],
    ),
    "breakdown_users": (
        "/breakdown",
        [*DAYS, ("by", "metadata.page"), ("measure", "users,p50:metadata.ms")],
    ),
    "events": ("/events", [*DAYS, *FILTERS]),
    "sessions": ("/sessions", [*DAYS, ("interval", "week")]),
    "lifecycle": ("/lifecycle", [*DAYS, ("event", "a")]),
    "stickiness": ("/stickiness", [*DAYS, ("interval", "week")]),
    "users": ("/users", [*DAYS, ("event", "a")]),
    "schema": ("/schema", [*DAYS]),
    "funnel": (
        "/funnel",
        [*DAYS, ("step", "view"), ("step", "cart:add,*:buy"), ("where", "metadata.plan.eq.pro")],
    ),
    "funnel_strict_by": (
        "/funnel",
        [
            *DAYS,
            ("step", "view"),
            ("step", "*"),
            ("order", "strict"),
            ("unit", "session"),
            ("by", "metadata.plan"),
        ],
    ),
    "lifecycle_rollup": ("/lifecycle", [*DAYS, ("event", "a")], True),
    "breakdown_rollup": ("/breakdown", [*DAYS, ("by", "event_type"), ("measure", "count")], True),
    "retention": ("/retention", [*DAYS, ("start", "signup"), ("return", "*:buy")]),
    "retention_recurring_after": (
        "/retention",
        [*DAYS, ("mode", "recurring"), ("bound", "after"), ("period", "week"), ("periods", "2")],
    ),
    "paths": ("/paths", [*DAYS]),
    "paths_end": (
        "/paths",
        [*DAYS, ("by", "metadata.page"), ("end", "cart:buy"), ("unit", "session"), ("depth", "3")],
    ),
}


class Recorder:
    """A database that is asked for everything and holds nothing but two groups; its rollups cover
    all or, as before a rebuild, nothing.
    """

    watermark = NOW

    def __init__(self, covered: bool) -> None:
        self.sent: list[str] = []
        self.sources: set[str] = set()
        self.covered = covered
        self.memory = Memory()
        self.links = NO_LINKS

    async def rows(self, statement: Statement, *, linked: bool = True) -> Sequence[Any]:
        self.sent.append(str(statement.compile(dialect=dialect())))  # type: ignore[no-untyped-call]
        if self.sent[-1].endswith(" AS last") and self.covered:
            return [
                SimpleNamespace(
                    since=0, strays=[], nameless=[], waiting=1, first=490_000, last=510_000
                )
            ]
        if " AS earliest" in self.sent[-1]:
            return [SimpleNamespace(earliest=None)]
        if "array_agg(rollups.start" in self.sent[-1]:
            return [(24, [498_192], [1])]
        return (
            [Group("/", 3), Group(None, 1)]
            if self.sent[-1].startswith("SELECT rows.key, ") and " AS value" in self.sent[-1]
            else []
        )

    def check_time(self) -> None:
        """There is always some left."""

    async def batches(self, statement: Statement, size: int) -> AsyncIterator[Sequence[Any]]:
        async def stream(*batches: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
            for batch in batches:
                yield batch

        return stream(await self.rows(statement))


class Group(tuple[Any, ...]):
    def __new__(cls, key: str | None, value: int) -> "Group":
        return super().__new__(cls, (key, value))

    @property
    def key(self) -> Any:
        return self[0]


async def sent(path: str, asked: Sequence[tuple[str, str]], covered: bool = False) -> list[str]:
    """The statements of a question, in order."""
    question = next(question for question in QUESTIONS if question.path == path)
    recorder = Recorder(covered)
    await question.answer(
        parameters.read(question.query, urlencode(asked).encode(), {}, now=NOW, project="default"),
        cast(Snapshot, recorder),
    )
    return recorder.sent


def page(statements: Sequence[str]) -> str:
    return (
        ";\n\n".join(
            "\n".join(line.rstrip() for line in statement.splitlines()) for statement in statements
        )
        + ";\n"
    )


@pytest.mark.parametrize("name", CASES)
async def test_the_sql_is_that_of_the_golden_file(name: str) -> None:
    assert page(await sent(*CASES[name])) == (GOLDEN / f"{name}.sql").read_text()


characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
names = st.text(characters, min_size=1, max_size=20).map(
    lambda text: "".join(f"%{byte:02X}" for byte in text.encode())
)


@examples(100)
@given(event=names, key=names, value=names)
async def test_no_name_or_value_becomes_sql(event: str, key: str, value: str) -> None:
    def asked(event: str, key: str, value: str) -> list[tuple[str, str]]:
        conditions = [
            f"metadata.{key}.eq.{value}",
            f"metadata.k.{key}.contains.{value}",
            f"user_id.re.{'%41' + key}",
            f"metadata.{key}.set",
        ]
        return [
            *DAYS,
            ("event", f"{event}:{value}"),
            ("measure", f"sum:metadata.{key}"),
            ("by", f"metadata.x.{key}"),
            *(("where", one) for one in conditions),
        ]

    assume(re.search(r"\\[1-9]", unquote(key)) is None)
    plain = await sent("/trends", asked("e", "k", "v"))
    assert await sent("/trends", asked(event, key, value)) == plain


@examples(100)
@given(event=names, key=names, value=names)
async def test_no_name_or_value_becomes_sql_about_rollups(event: str, key: str, value: str) -> None:
    def asked(event: str, key: str, value: str) -> list[tuple[str, str]]:
        return [
            *DAYS,
            ("event", f"{event}:{value}"),
            ("by", f"metadata.{key}"),
            ("where", f"metadata.{key}.eq.{value}"),
        ]

    assert await sent("/trends", asked(event, key, value), True) == await sent(
        "/trends", asked("e", "k", "v"), True
    )


async def write() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, case in CASES.items():
        (GOLDEN / f"{name}.sql").write_text(page(await sent(*case)))


if __name__ == "__main__":
    asyncio.run(write())
