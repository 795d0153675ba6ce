"""What the docs say users are: who was seen, when, and in how many events and sessions."""

from collections.abc import Iterable
from typing import Any

from tests.queries.oracle import Row, in_sessions


def users(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The users of rows that pass the filters: last seen first, then by id in code-point order."""
    rows = in_sessions(rows)
    people: list[dict[str, Any]] = []
    for actor in {row.actor for row in rows}:
        mine = [row for row in rows if row.actor == actor]
        people.append(
            {
                "id": actor,
                "user_id": actor if any(row.user_id is not None for row in mine) else None,
                "first_seen": min(row.timestamp for row in mine),
                "last_seen": max(row.timestamp for row in mine),
                "events": len(mine),
                "sessions": len({row.session for row in mine}),
            }
        )
    people.sort(key=lambda user: [ord(character) for character in user["id"]])
    return sorted(people, key=lambda user: user["last_seen"], reverse=True)


def timeline(rows: Iterable[Row], actor: str) -> list[Row]:
    return sorted(
        (row for row in rows if row.actor == actor),
        key=lambda row: (row.timestamp, row.id.int),
        reverse=True,
    )
