"""The dictionary of people: who acts (user_id, else session_id) → a dense number, per project."""

from collections.abc import Collection, Mapping

import asyncpg

LOCK = """
INSERT INTO people_last AS last (project, number) VALUES ($1, -1) ON CONFLICT (project) DO UPDATE SET number = last.number
"""

ALLOCATE = """
WITH known AS (
    SELECT actor, number FROM people WHERE project = $1 AND actor = ANY($2::varchar[])
), fresh AS (
    INSERT INTO people (project, actor, number)
    SELECT $1, actor, last.number + row_number() OVER (ORDER BY actor COLLATE "C")
    FROM unnest($2::varchar[]) AS asked (actor), (SELECT number FROM people_last WHERE project = $1) AS last
    WHERE actor NOT IN (SELECT known.actor FROM known)
    RETURNING actor, number
), bump AS (
    UPDATE people_last SET number = number + (SELECT count(*) FROM fresh) WHERE project = $1
)
SELECT actor, number FROM known UNION ALL SELECT actor, number FROM fresh
"""

KNOWN = "SELECT actor, number FROM people WHERE project = $1 AND actor = ANY($2::varchar[])"

Name = tuple[str, str]
"""A project and an actor in it."""


async def look_up(
    connection: asyncpg.Connection, project: str, actors: Collection[str]
) -> dict[str, int]:
    """The numbers of actors, given to those who have none yet in the transaction that this runs in.

    Two statements where somebody is new: the second takes its snapshot after the row lock, and so
    sees the numbers that others gave.
    """
    found: dict[str, int] = dict(await connection.fetch(KNOWN, project, list(actors)))
    missing = [actor for actor in actors if actor not in found]
    if missing:
        await connection.execute(LOCK, project)
        found.update(await connection.fetch(ALLOCATE, project, missing))
    return found


class People:
    """Numbers that committed transactions have given, remembered up to a bound: of two generations
    the older is forgotten as a whole.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._young: dict[Name, int] = {}
        self._old: dict[Name, int] = {}

    def known(self, names: Collection[Name]) -> dict[Name, int]:
        """The numbers that are remembered."""
        found = {}
        for name in names:
            number = self._young.get(name)
            if number is None and (number := self._old.get(name)) is not None:
                self._young[name] = number
            if number is not None:
                found[name] = number
        return found

    def remember(self, numbers: Mapping[Name, int]) -> None:
        """Numbers whose transaction has committed."""
        self._young.update(numbers)
        if len(self._young) > self._limit // 2:
            self._young, self._old = {}, self._young
