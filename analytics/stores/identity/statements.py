"""The statements by which persons are read and written; `$1` is the project in all of them."""


def each(columns: str, table: str, name: str) -> str:
    """A query for the rows of each of some names: one look into the index for each.

    The OFFSET says so. Else PostgreSQL, before it has statistics, may read all of the project.
    """
    return f"""
SELECT {columns} FROM unnest($2::varchar[]) AS asked (name) CROSS JOIN LATERAL (
    SELECT {columns} FROM {table} WHERE project = $1 AND {name} = asked.name OFFSET 0
) AS found
"""  # noqa: S608 - only our own constants


LINKED = each("actor, person, rank", "identity_links", "actor")

MEMBERS = each("actor, person, rank", "identity_links", "person")

SIZES = """
SELECT person, known IS NOT NULL AS large, coalesce(known, (
    SELECT count(*) FROM (
        SELECT FROM identity_links AS link
        WHERE link.project = $1 AND link.person = sized.person LIMIT $3
    ) AS counted
)) AS names
FROM (
    SELECT person, (
        SELECT names FROM identity_persons AS known
        WHERE known.project = $1 AND known.person = asked.person
    ) AS known
    FROM unnest($2::varchar[]) AS asked (person)
) AS sized
"""
"""How many names each person has: by `identity_persons`, else counted, up to a limit."""

CLAIMS = each("other, person", "identity_claims", "other")

ALIASES = f"{each('other, person', 'identity_aliases', 'other')} LIMIT $3"

USERS = """
SELECT name FROM unnest($2::varchar[]) AS asked (name) WHERE (
    SELECT true FROM identity_claims WHERE project = $1 AND person = asked.name LIMIT 1
)
"""
"""Those of some names who have claimed somebody. A subquery with a limit is one look for each."""

NUMBERS = "SELECT actor, number FROM people WHERE project = $1 AND actor = ANY($2::varchar[])"

LINK = """
INSERT INTO identity_links (project, actor, person, number, person_number, rank, version)
SELECT $1, *, $7
FROM unnest($2::varchar[], $3::varchar[], $4::integer[], $5::integer[], $6::smallint[])
ON CONFLICT (project, actor)
DO UPDATE SET person = excluded.person, person_number = excluded.person_number,
    rank = excluded.rank, version = excluded.version
"""

ABSORB = """
UPDATE identity_links SET person = $3, person_number = $4, version = $5
WHERE project = $1 AND person = $2
"""

RANK_OTHERS = """
UPDATE identity_links SET rank = 1
WHERE project = $1 AND actor = ANY($2::varchar[]) AND rank = 0
"""

RANK_USERS = """
UPDATE identity_links SET rank = 1
WHERE project = $1 AND actor = ANY($2::varchar[]) AND coalesce(rank, 2) = 2
"""

NAME = """
INSERT INTO identity_persons (project, person, name, names)
SELECT $1::varchar, person, (
    SELECT actor FROM identity_links AS link
    WHERE link.project = $1 AND link.person = asked.person ORDER BY rank, actor LIMIT 1
), names
FROM unnest($2::varchar[], $3::integer[]) AS asked (person, names)
ON CONFLICT (project, person) DO UPDATE SET name = excluded.name, names = excluded.names
"""

FORGET = "DELETE FROM identity_persons WHERE project = $1 AND person = ANY($2::varchar[])"
