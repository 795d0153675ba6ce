"""Links: stores claims and aliases, and the person behind each name that follows from them.

This runs in the transaction that stores the events. Of the claims on one anonymous id the earliest
counts, by timestamp and then by the id of its event. Aliases are a set. So retries, replays, late
events and several processors come to the same links in any order. One transaction at a time changes
the links of a project.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from analytics.events import Event
from analytics.stores.identity import splits
from analytics.stores.identity.claims import Alias, Claim, Claims
from analytics.stores.identity.persons import regroup, users_among
from analytics.stores.identity.resolution import Pair, effective
from analytics.stores.identity.statements import each

CLAIMED = each("other, person, at, event", "identity_claims", "other")

NEW_ALIASES = """
SELECT other, person FROM unnest($2::varchar[], $3::varchar[]) AS said (other, person)
WHERE (
    SELECT true FROM identity_aliases AS known
    WHERE project = $1 AND known.other = said.other AND known.person = said.person
) IS NULL
"""

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


class _News(NamedTuple):
    """What is new: claims earlier than the stored ones, unknown aliases.

    `lost` are the users who lose an anonymous id to an earlier claim of another user, by that id.
    """

    claims: list[Claim]
    aliases: list[Alias]
    lost: Mapping[str, str]


async def link(
    connection: asyncpg.Connection, project: str, claims: Claims, events: Sequence[Event]
) -> int:
    """Store the claims and aliases of a project's events that are new, and the links that follow.

    Every name in them has a number already. Returns how many of them link nobody because a person
    would have too many names.
    """
    if not _any(await _news(connection, project, claims)):
        return 0
    version = await take_turn(connection, project)
    claims = await splits.allowed(connection, project, claims, events)
    # read again: what other transactions changed before our turn is visible only now
    news = await _news(connection, project, claims)
    if not _any(news):
        return 0
    dirty = await _dirty(connection, project, news)
    await connection.execute(CLAIM, project, *_columns(news.claims, 4))
    claimed = {claim.anonymous_id: claim.user_id for claim in news.claims}
    users = await users_among(connection, project, claimed)
    aliases: list[Pair] = [(alias.previous_id, alias.user_id) for alias in news.aliases]
    done = await regroup(
        connection,
        project,
        version,
        touched={*Claims(news.claims, news.aliases).names, *dirty},
        pairs=effective(claimed, aliases, users),
        dirty=dirty,
    )
    if joined := [alias for alias in aliases if alias not in done.refused]:
        await connection.execute(ALIAS, project, *_columns(joined, 2))
    return len(done.refused) + done.left


async def take_turn(connection: asyncpg.Connection, project: str) -> int:
    """Wait until this transaction is the one to change a project's links; returns their version."""
    version: int = await connection.fetchval(TAKE_TURN, project)
    return version


def _any(news: _News) -> bool:
    return bool(news.claims or news.aliases)


def _columns(rows: Collection[Sequence[object]], width: int) -> list[list[object]]:
    return [[row[column] for row in rows] for column in range(width)]


async def _news(connection: asyncpg.Connection, project: str, claims: Claims) -> _News:
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
    lost = {
        claim.anonymous_id: stored[claim.anonymous_id].user_id
        for claim in earlier
        if claim.anonymous_id in stored and stored[claim.anonymous_id].user_id != claim.user_id
    }
    aliases: list[Alias] = []
    if claims.aliases:
        said = _columns({*claims.aliases}, 2)
        aliases = sorted(Alias(*row) for row in await connection.fetch(NEW_ALIASES, project, *said))
    return _News(earlier, aliases, lost)


async def _dirty(connection: asyncpg.Connection, project: str, news: _News) -> set[str]:
    """Names of persons that may fall apart: a claim that links them does not hold any longer.

    An earlier claim takes its place. Or the claimed id, a user, claims somebody for the first time.
    """
    dirty = {*news.lost, *news.lost.values()}
    users = list({claim.user_id for claim in news.claims})
    claimed = {row["other"] for row in await connection.fetch(CLAIMED, project, users)}
    return dirty | (claimed - await users_among(connection, project, claimed))
