"""Linking: keeps what events say of who is whom, and who each name therefore is, in the transaction
that stores the events.

Of the claims on an anonymous id the earliest counts (by timestamp, then id of its event), and
aliases are a set, so that processors, retries, replays and late events come to the same links in
any order. One transaction at a time changes the links of a project.
"""

from collections.abc import Iterable, Mapping

import asyncpg

from analytics.stores.identity.claims import Alias, Claim, Said
from analytics.stores.identity.resolving import Pair, resolve

CLAIMED = "SELECT other, person, at, event FROM identity_claims WHERE project = $1 AND other = ANY($2::varchar[])"
ALIASED = (
    "SELECT other, person FROM identity_aliases WHERE project = $1 AND other = ANY($2::varchar[])"
)
LINKED = (
    "SELECT actor, person FROM identity_links WHERE project = $1 AND actor = ANY($2::varchar[])"
)
NUMBERS = "SELECT actor, number FROM people WHERE project = $1 AND actor = ANY($2::varchar[])"

TURN = """
INSERT INTO identity_versions AS last (project, version) VALUES ($1, 1) ON CONFLICT (project) DO UPDATE SET version = last.version + 1 RETURNING version
"""

CLAIM = """
INSERT INTO identity_claims (project, other, person, at, event)
SELECT $1, * FROM unnest($2::varchar[], $3::varchar[], $4::timestamptz[], $5::uuid[])
ON CONFLICT (project, other) DO UPDATE SET person = excluded.person, at = excluded.at, event = excluded.event
"""

ALIAS = "INSERT INTO identity_aliases (project, other, person) SELECT $1, * FROM unnest($2::varchar[], $3::varchar[])"

LINK = """
INSERT INTO identity_links (project, actor, person, number, person_number, version)
SELECT $1, *, $6 FROM unnest($2::varchar[], $3::varchar[], $4::integer[], $5::integer[])
ON CONFLICT (project, actor) DO UPDATE SET person = excluded.person, person_number = excluded.person_number, version = excluded.version
"""

NEIGHBOURS = """
SELECT other, person, false AS alias FROM identity_claims WHERE project = $1 AND other = ANY($2::varchar[])
UNION SELECT other, person, false FROM identity_claims WHERE project = $1 AND person = ANY($2::varchar[])
UNION SELECT other, person, true FROM identity_aliases WHERE project = $1 AND other = ANY($2::varchar[])
UNION SELECT other, person, true FROM identity_aliases WHERE project = $1 AND person = ANY($2::varchar[])
"""


async def link(connection: asyncpg.Connection, project: str, said: Said) -> None:
    """Keep what was said in a project and is new. Everybody it is about has a number already."""
    if not any(await _news(connection, project, said)):
        return
    version = await connection.fetchval(TURN, project)
    claims, aliases, moved = await _news(connection, project, said)
    await connection.execute(CLAIM, project, *([claim[at] for claim in claims] for at in range(4)))
    await connection.execute(ALIAS, project, *([alias[at] for alias in aliases] for at in range(2)))
    pairs = [(claim.other, claim.person) for claim in claims]
    simple = set() if moved or aliases else await _simple(connection, project, pairs)
    known = dict(await connection.fetch(LINKED, project, [name for pair in pairs for name in pair]))
    persons = {other: known.get(user, user) for other, user in simple} | {
        user: known.get(user, user) for _, user in simple
    }
    touched = {*moved, *(name for pair in {*pairs, *aliases} - simple for name in pair)}
    if touched:
        persons |= await _resolved(connection, project, touched)
    await _write(connection, project, persons, version)


async def _news(
    connection: asyncpg.Connection, project: str, said: Said
) -> tuple[list[Claim], list[Alias], set[str]]:
    """Claims that are earlier than those kept, aliases that are not kept yet, and users whose
    anonymous ids turn out to be somebody else's.
    """
    first: dict[str, Claim] = {}
    for claim in sorted(said.claims, key=lambda each: each[2:]):
        first.setdefault(claim.other, claim)
    kept = (
        {row["other"]: Claim(*row) for row in await connection.fetch(CLAIMED, project, list(first))}
        if first
        else {}
    )
    claims = [
        claim
        for other, claim in sorted(first.items())
        if other not in kept or claim[2:] < kept[other][2:]
    ]
    moved = {
        kept[claim.other].person
        for claim in claims
        if claim.other in kept and kept[claim.other].person != claim.person
    }
    aliases = set(said.aliases)
    if aliases:
        aliases -= {
            Alias(*row)
            for row in await connection.fetch(ALIASED, project, [alias.other for alias in aliases])
        }
    return claims, sorted(aliases), moved


async def _simple(connection: asyncpg.Connection, project: str, pairs: Iterable[Pair]) -> set[Pair]:
    """Those that give a person one more name and change nothing else: a name that nobody has heard
    of, and a user whom nobody has claimed.

    So a person of very many names is not looked at as a whole for each more.
    """
    pairs = set(pairs)
    heard = {
        row["actor"]
        for row in await connection.fetch(LINKED, project, [other for other, _ in pairs])
    } | {user for _, user in pairs}
    claimed = {
        row["other"]
        for row in await connection.fetch(CLAIMED, project, [user for _, user in pairs])
    }
    return {(other, user) for other, user in pairs if other not in heard and user not in claimed}


async def _resolved(
    connection: asyncpg.Connection, project: str, names: set[str]
) -> dict[str, str]:
    """The persons of these and of all that anything said connects with them."""
    claims: dict[str, str] = {}
    aliases: set[Pair] = set()
    met, fresh = set(names), names
    while fresh:
        rows = await connection.fetch(NEIGHBOURS, project, list(fresh))
        claims.update((row["other"], row["person"]) for row in rows if not row["alias"])
        aliases.update((row["other"], row["person"]) for row in rows if row["alias"])
        fresh = {name for row in rows for name in (row["other"], row["person"])} - met
        met |= fresh
    return resolve(met, claims, aliases)


async def _write(
    connection: asyncpg.Connection, project: str, persons: Mapping[str, str], version: int
) -> None:
    """Those that change; who is nobody else any more is written as being themselves, so that
    readers need only ask what is new.
    """
    known = dict(await connection.fetch(LINKED, project, list(persons)))
    changed = sorted(actor for actor, person in persons.items() if known.get(actor) != person)
    number = dict(
        await connection.fetch(
            NUMBERS, project, list({*changed, *(persons[actor] for actor in changed)})
        )
    )
    people = [persons[actor] for actor in changed]
    await connection.execute(
        LINK,
        project,
        changed,
        people,
        [number[actor] for actor in changed],
        [number[person] for person in people],
        version,
    )
