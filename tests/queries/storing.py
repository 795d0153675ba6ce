"""A database filled by the real store, so that rollups agree with its raw rows.

The test says when deltas are compacted.
"""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
from hypothesis import strategies as st

from analytics.embedded import Postgres
from analytics.events import Event, Job
from analytics.queries.database.snapshot import _link_caches, open_engine
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests import servers
from tests.queries.asker import Asker
from tests.queries.oracle import Condition, Row
from tests.queries.streams import exact

DIMENSIONS = ("k", "a.b", "é")

fields = st.sampled_from(
    [("metadata", "k"), ("metadata", "a.b"), ("metadata", "é"), ("event_type",), ("event_action",)]
)
texts = st.lists(st.sampled_from(["a", "b", "", "1", "é", "😀"]), min_size=1, max_size=2).map(tuple)
conditions = st.one_of(
    st.builds(
        Condition,
        st.just(("metadata", "k")),
        st.sampled_from(["eq", "in", "ne", "nin", "contains", "ncontains"]),
        texts,
    ),
    st.builds(Condition, st.just(("metadata", "k")), st.sampled_from(["set", "unset"])),
)
wheres: st.SearchStrategy[tuple[Condition, ...]] = st.just(()) | st.lists(
    conditions, max_size=2
).map(tuple)

ROWS = (
    "raw_events",
    "rollups",
    "rollup_deltas",
    "rollup_strays",
    "packed_days",
    "daily_metrics",
    "stored_jobs",
    "event_ledger_0",
    "event_ledger_1",
)
LINKS = (
    "identity_versions",
    "identity_claims",
    "identity_aliases",
    "identity_links",
    "identity_persons",
    "identity_splits",
)

few_or_many = st.sampled_from([0, 15, 25])
"""Rows at least: few are easy to read where a test fails, but of few hardly anybody comes back."""

Batches = Sequence[tuple[list[Row], bool]]
"""Rows in the transactions that store them, each compacted afterwards or not."""


class Storer(Asker):
    """Rows come through the store; compaction is called by the test."""

    store: PostgresStore
    url: str

    async def empty(self) -> None:
        """No rows, no rollups and no identity links; people keep their numbers."""
        # where rows are few, quicker than truncate
        await self.connection.execute("".join(f"delete from {name};" for name in (*ROWS, *LINKS)))
        await self.connection.execute(
            "delete from rollup_since where project <> '';"
            "update rollup_since set start = -1000000000"
        )
        _link_caches.clear()

    async def write(self, rows: list[Row]) -> None:
        """These rows too, in one transaction."""
        if rows:
            await self.store.write(
                [Job(f"{random.getrandbits(64):x}.{len(rows)}", [event(one) for one in rows])]
            )

    async def write_while_asked(
        self, batches: Batches, tended: bool, path: str, parameters: Sequence[tuple[str, str]]
    ) -> None:
        """Nothing but these batches; the question is put after each, so that much of what is
        remembered is out of date.
        """
        await self.empty()
        for rows, compact in batches:
            await self.write(rows)
            if compact:
                await self.store.compact()
            await self.ask(path, *parameters)
        if tended:
            await self.tend()

    async def tend(self) -> None:
        """Merge the parts of hours and days that are over, and rebuild changed days."""
        async with self.store._pool.acquire() as connection:
            await self.store._maintain_derived(connection)


def event(row: Row) -> Event:
    named = (
        row.session_id,
        row.user_id,
        row.event_type,
        row.event_action,
        exact(row.metadata).encode(),
    )
    return Event("default", row.id, *named, row.timestamp, row.timestamp, named=True)


@asynccontextmanager
async def opened(server: Postgres, template: str) -> AsyncIterator[Storer]:
    """A database that takes events of any age."""
    with servers.database(server, template=template) as url:
        engine = open_engine(Settings(database_url=url))
        writer = await asyncpg.connect(url)
        await writer.execute("create table raw_events_of_any_age partition of raw_events default")
        storer = Storer(writer, engine)
        storer.url = url
        storer.store = await PostgresStore.open(
            Settings(database_url=url, rollup_dimensions=DIMENSIONS)
        )
        yield storer
        await storer.store.close()
        await writer.close()
        await engine.dispose()


@st.composite
def batches(draw: st.DrawFn, rows: list[Row]) -> Batches:
    """Of rows whose metadata is all text, or is not."""
    if draw(st.booleans()):
        rows = [
            replace(
                one,
                metadata={
                    key: value for key, value in one.metadata.items() if isinstance(value, str)
                },
            )
            for one in rows
        ]
    sizes = draw(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=6))
    parts = []
    for size, compact in sizes:
        parts.append((rows[:size], compact))
        rows = rows[size:]
    return [*parts, (rows, False)]


def rows_of(batches: Batches) -> list[Row]:
    return [row for rows, _ in batches for row in rows]


def all_text(batches: Batches) -> bool:
    """Whether rollups have all values of all dimensions."""
    return all(
        isinstance(value, str) for row in rows_of(batches) for value in row.metadata.values()
    )
