"""Rows and questions in few words, for tests of one meaning each."""

from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from tests.queries.asker import Asker
from tests.queries.oracle import Row

_ids = count(1)
DAYS = (("from", "2026-11-02"), ("to", "2026-11-05"))


def row(
    timestamp: str, user: str | None = None, session: str = "s", event: str = "e:a", **metadata: Any
) -> Row:
    type_, action = event.split(":")
    at = datetime.fromisoformat(timestamp)
    return Row(
        UUID(int=next(_ids)),
        at if at.tzinfo else at.replace(tzinfo=UTC),
        session,
        user,
        type_,
        action,
        metadata,
    )


async def trends(asker: Asker, *parameters: tuple[str, str]) -> Any:
    return (
        await asker.ask("/trends", *(DAYS if "from" not in dict(parameters) else ()), *parameters)
    )["data"]


async def one(asker: Asker, *parameters: tuple[str, str]) -> Any:
    """The only item of an answer without groups."""
    (item,) = (await trends(asker, *parameters))["series"]
    assert item["key"] == {}
    return item
