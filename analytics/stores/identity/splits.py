"""Splits: an operator takes names apart again that were joined wrongly."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from analytics.events import Event
from analytics.stores.identity.claims import Claims, find_claims
from analytics.stores.identity.persons import regroup
from analytics.stores.identity.resolution import Pair

SPLITS = """
SELECT name, other, at FROM identity_splits WHERE project = $1 AND name = ANY($2::varchar[])
"""

_OF_THE_NAME = """
project = $1 AND (
    other = $2 AND ($3 = '' OR person = $3) OR person = $2 AND ($3 = '' OR other = $3)
)
"""

SAID = f"""
SELECT other, person, false AS alias FROM identity_claims WHERE {_OF_THE_NAME}
UNION ALL SELECT other, person, true FROM identity_aliases WHERE {_OF_THE_NAME}
ORDER BY 1, 2
"""  # noqa: S608 - only our own constants

CUT = f"""
WITH claims AS (DELETE FROM identity_claims WHERE {_OF_THE_NAME} RETURNING other, person),
    aliases AS (DELETE FROM identity_aliases WHERE {_OF_THE_NAME} RETURNING other, person)
SELECT * FROM claims UNION SELECT * FROM aliases
"""  # noqa: S608 - only our own constants

REMEMBER = """
INSERT INTO identity_splits (project, name, other, at) VALUES ($1, $2, $3, now())
ON CONFLICT (project, name, other) DO UPDATE SET at = excluded.at
"""


async def said(
    connection: asyncpg.Connection, project: str, name: str, other: str = ""
) -> tuple[list[Pair], list[Pair]]:
    """The stored claims and aliases of a name and on it; with `other`, between the two only."""
    rows = await connection.fetch(SAID, project, name, other)
    claims = [(row["other"], row["person"]) for row in rows if not row["alias"]]
    return claims, [(row["other"], row["person"]) for row in rows if row["alias"]]


async def split(
    connection: asyncpg.Connection, project: str, version: int, name: str, other: str = ""
) -> None:
    """Forget what `said` returns, for events up to now, and count the names apart.

    In a transaction whose turn it is, at a `version`; it reads whole persons, however large.
    """
    pairs = await connection.fetch(CUT, project, name, other)
    await connection.execute(REMEMBER, project, name, other)
    names = {name, *(name for pair in pairs for name in pair)}
    await regroup(connection, project, version, touched=names, dirty=names, bounded=False)


async def allowed(
    connection: asyncpg.Connection, project: str, claims: Claims, events: Sequence[Event]
) -> Claims:
    """The claims and aliases of events, without those that a later split has cut."""
    rows = await connection.fetch(SPLITS, project, list(claims.names))
    if not rows:
        return claims
    cut = {(row["name"], row["other"]): row["at"] for row in rows}
    kept = Claims([], [])
    for event in events:
        for name, of_event in find_claims([event]).items():
            if name == project:
                at = event.timestamp
                kept.claims.extend(each for each in of_event.claims if _holds(each[:2], at, cut))
                kept.aliases.extend(each for each in of_event.aliases if _holds(each, at, cut))
    return kept


def _holds(pair: Pair, at: datetime, cut: dict[tuple[str, str], datetime]) -> bool:
    """Whether an event at some time may link two names."""
    one, other = pair
    asked = ((one, ""), (other, ""), (one, other), (other, one))
    return all(at > cut[each] for each in asked if each in cut)
