"""Links: stores claims and aliases, and the person behind each name that follows from them.

This runs in the transaction that stores the events. Of the claims on one anonymous id the earliest
counts, by timestamp and then by the id of its event. Aliases are a set. So retries, replays, late
events and several processors come to the same links in any order. One transaction at a time changes
the links of a project.
"""

from collections.abc import Iterable, Mapping

import asyncpg

from analytics.stores.identity.claims import Alias, Claim, Claims
from analytics.stores.identity.resolution import Pair, resolve

CLAIMED = """
SELECT other, person, at, event FROM identity_claims
WHERE project = $1 AND other = ANY($2::varchar[])
"""

ALIASED = """
SELECT other, person FROM identity_aliases WHERE project = $1 AND other = ANY($2::varchar[])
"""

LINKED = """
SELECT actor, person FROM identity_links WHERE project = $1 AND actor = ANY($2::varchar[])
"""

NUMBERS = "SELECT actor, number FROM people WHERE project = $1 AND actor = ANY($2::varchar[])"

TAKE_TURN = """
INSERT INTO identity_versions AS last (project, version) VALUES ($1, 1)
ON CONFLICT (project) DO UPDATE SET version = last.version + 1 RETURNING version
"""
"""Locks the project's row until the transaction ends, so its links change one at a time."""

CLAIM = """
INSERT INTO identity_claims (project, other, person, at, event)
SELECT $1, * FROM unnest($2::varchar[], $3::varchar[], $4::timestamptz[], $5::uuid[])
ON CONFLICT (project, other)
DO UPDATE SET person = excluded.person, at = excluded.at, event = excluded.event
"""

ALIAS = """
INSERT INTO identity_aliases (project, other, person)
SELECT $1, * FROM unnest($2::varchar[], $3::varchar[])
"""

LINK = """
INSERT INTO identity_links (project, actor, person, number, person_number, version)
SELECT $1, *, $6 FROM unnest($2::varchar[], $3::varchar[], $4::integer[], $5::integer[])
ON CONFLICT (project, actor)
DO UPDATE SET person = excluded.person, person_number = excluded.person_number,
    version = excluded.version
"""

NEIGHBOURS = """
SELECT other, person, false AS alias FROM identity_claims
WHERE project = $1 AND other = ANY($2::varchar[])
UNION SELECT other, person, false FROM identity_claims
WHERE project = $1 AND person = ANY($2::varchar[])
UNION SELECT other, person, true FROM identity_aliases
WHERE project = $1 AND other = ANY($2::varchar[])
UNION SELECT other, person, true FROM identity_aliases
WHERE project = $1 AND person = ANY($2::varchar[])
"""


async def link(connection: asyncpg.Connection, project: str, claims: Claims) -> None:
    """Store the claims and aliases of a project that are new, and the links that follow.

    Every name in them has a number already.
    """
    if not any(await _news(connection, project, claims)):
        return
    version = await connection.fetchval(TAKE_TURN, project)
    # read again: what other transactions changed before our turn is visible only now
    new_claims, aliases, moved = await _news(connection, project, claims)
    claim_columns = ([claim[column] for claim in new_claims] for column in range(4))
    alias_columns = ([alias[column] for alias in aliases] for column in range(2))
    await connection.execute(CLAIM, project, *claim_columns)
    await connection.execute(ALIAS, project, *alias_columns)
    pairs = [(claim.anonymous_id, claim.user_id) for claim in new_claims]
    simple = set() if moved or aliases else await _simple(connection, project, pairs)
    known = dict(await connection.fetch(LINKED, project, [name for pair in pairs for name in pair]))
    persons = {name: known.get(user, user) for other, user in simple for name in (other, user)}
    touched = {*moved, *(name for pair in {*pairs, *aliases} - simple for name in pair)}
    if touched:
        persons |= await _resolved(connection, project, touched)
    await _write(connection, project, persons, version)


async def _news(
    connection: asyncpg.Connection, project: str, claims: Claims
) -> tuple[list[Claim], list[Alias], set[str]]:
    """What is new: claims earlier than the stored ones, unknown aliases, and users who lose an id.

    A user loses an anonymous id when another user's claim on it is earlier.
    """
    first: dict[str, Claim] = {}
    for claim in sorted(claims.claims, key=lambda each: each[2:]):
        first.setdefault(claim.anonymous_id, claim)
    rows = await connection.fetch(CLAIMED, project, list(first)) if first else []
    stored = {row["other"]: Claim(*row) for row in rows}
    earlier = [
        claim
        for other, claim in sorted(first.items())
        if other not in stored or claim[2:] < stored[other][2:]
    ]
    moved = {
        stored[claim.anonymous_id].user_id
        for claim in earlier
        if claim.anonymous_id in stored and stored[claim.anonymous_id].user_id != claim.user_id
    }
    aliases = set(claims.aliases)
    if aliases:
        previous = [alias.previous_id for alias in aliases]
        aliases -= {Alias(*row) for row in await connection.fetch(ALIASED, project, previous)}
    return earlier, sorted(aliases), moved


async def _simple(connection: asyncpg.Connection, project: str, pairs: Iterable[Pair]) -> set[Pair]:
    """The pairs that give a person one more name and change nothing else.

    That is: an other name without a link so far, and a user whom nobody has claimed. So one more
    name of a person with very many names does not mean reading all of them.
    """
    pairs = set(pairs)
    users = [user for _, user in pairs]
    linked_rows = await connection.fetch(LINKED, project, [other for other, _ in pairs])
    linked = {row["actor"] for row in linked_rows} | set(users)
    claimed = {row["other"] for row in await connection.fetch(CLAIMED, project, users)}
    return {(other, user) for other, user in pairs if other not in linked and user not in claimed}


async def _resolved(
    connection: asyncpg.Connection, project: str, names: set[str]
) -> dict[str, str]:
    """The persons of some names and of all names connected with them by claims or aliases."""
    claims: dict[str, str] = {}
    aliases: set[Pair] = set()
    reached, fresh = set(names), names
    while fresh:
        rows = await connection.fetch(NEIGHBOURS, project, list(fresh))
        claims.update((row["other"], row["person"]) for row in rows if not row["alias"])
        aliases.update((row["other"], row["person"]) for row in rows if row["alias"])
        fresh = {name for row in rows for name in (row["other"], row["person"])} - reached
        reached |= fresh
    return resolve(reached, claims, aliases)


async def _write(
    connection: asyncpg.Connection, project: str, persons: Mapping[str, str], version: int
) -> None:
    """Write the links that changed.

    A name that is no longer linked gets a row that makes it its own person, so that readers need
    only ask for rows of later versions.
    """
    known = dict(await connection.fetch(LINKED, project, list(persons)))
    changed = sorted(actor for actor, person in persons.items() if known.get(actor) != person)
    people = [persons[actor] for actor in changed]
    number = dict(await connection.fetch(NUMBERS, project, list({*changed, *people})))
    await connection.execute(
        LINK,
        project,
        changed,
        people,
        [number[actor] for actor in changed],
        [number[person] for person in people],
        version,
    )
