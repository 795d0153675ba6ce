"""Asker: puts rows into a database, and questions to it without a server in between."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.events import Event, IdSearch
from analytics.projects import ApiKey
from analytics.queries import QUESTIONS, EncodedAnswer, Question, Sources, answer
from analytics.queue.reader import Horizon
from tests.queries.oracle import Row
from tests.queries.streams import exact

EVERYTHING = ApiKey(id=1, prefix="ak_r_", project=None, scopes=frozenset({"query"}))
WATERMARK = datetime(2026, 11, 23, 12, tzinfo=UTC)


class StillQueue:
    """The queue at the seam: nothing waits in it."""

    async def horizon(self, project: str | None = None) -> Horizon:
        return Horizon(WATERMARK, waiting=False)

    async def find(self, search: IdSearch, most: int) -> list[Event]:
        return []


class Asker:
    """Puts rows into the database and questions to it."""

    def __init__(self, connection: asyncpg.Connection, engine: AsyncEngine) -> None:
        self.connection = connection
        self.engine = engine

    async def hold(self, rows: Iterable[Row], project: str = "default") -> None:
        """These rows and no others."""
        await self.connection.execute("truncate raw_events")
        await self.add(rows, project)

    async def add(self, rows: Iterable[Row], project: str = "default") -> None:
        """These rows too."""
        await self.connection.executemany(
            "insert into raw_events (project, id, session_id, user_id, event_type, event_action,"
            " metadata, timestamp, created_at)"
            " values ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $8)",
            [
                (
                    project,
                    row.id,
                    row.session_id,
                    row.user_id,
                    row.event_type,
                    row.event_action,
                    exact(row.metadata),
                    row.timestamp,
                )
                for row in rows
            ],
        )

    async def ask(
        self, path: str, *parameters: tuple[str, str], key: ApiKey = EVERYTHING, **inside: str
    ) -> Any:
        """The whole answer to `GET /api{path}?parameters`; `inside` are those in the path."""
        return await self.ask_raw(path, urlencode(parameters).encode(), key, **inside)

    async def ask_raw(
        self, path: str, query: bytes, key: ApiKey = EVERYTHING, **inside: str
    ) -> Any:
        """The same, of a query string as it is."""
        question = next(question for question in QUESTIONS if question.path == path)
        return json.loads(await self.body(question, query, inside, key))

    async def body(
        self, question: Question, query: bytes, inside: Mapping[str, str], key: ApiKey = EVERYTHING
    ) -> bytes:
        """The answer as it is sent."""
        sources = Sources(self.engine, StillQueue())  # type: ignore[arg-type]
        reply = await answer(question, query, inside, key, sources)
        if isinstance(reply, EncodedAnswer):
            return reply.body
        return b"".join([chunk async for chunk in reply.chunks])
