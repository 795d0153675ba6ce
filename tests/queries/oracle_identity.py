"""What docs/identity.md says of identity, again in plain Python: rows that know their person."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from tests.queries.oracle import Row


@dataclass(frozen=True)
class Owned(Row):
    """A stored event with its person, whichever actor it names."""

    person: str = ""

    @property
    def actor(self) -> str:
        return self.person


def owned(rows: Iterable[Row]) -> list[Row]:
    """The same rows, by persons."""
    rows = list(rows)
    who = persons(rows)
    return [
        Owned(
            **{one.name: getattr(row, one.name) for one in fields(Row)},
            person=who.get(row.actor, row.actor),
        )
        for row in rows
    ]


def persons(rows: Iterable[Row]) -> dict[str, str]:
    """Each linked actor, and the person it is."""
    claimed: dict[str, str] = {}
    pairs: set[tuple[str, str]] = set()
    for row in sorted(rows, key=lambda row: (row.timestamp, row.id.int)):
        user, anonymous, previous = (
            row.user_id,
            row.metadata.get("$anonymous_id"),
            row.metadata.get("$previous_id"),
        )
        if user is not None and isinstance(anonymous, str) and anonymous not in ("", user):
            claimed.setdefault(anonymous, user)
        if (
            user is not None
            and row.event_type == "alias"
            and isinstance(previous, str)
            and previous not in ("", user)
        ):
            pairs.add((previous, user))
    everybody = {name for pair in (*claimed.items(), *pairs) for name in pair}
    pairs |= {
        (anonymous, user)
        for anonymous, user in claimed.items()
        if anonymous not in claimed.values()
    }
    person_of = {}
    for name in everybody:
        group, before = {name}, set[str]()
        while group != before:
            before = set(group)
            group |= {one for pair in pairs if group & {*pair} for one in pair}
        older, newer = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
        person_of[name] = min(
            group - older or group & newer, key=lambda one: [ord(character) for character in one]
        )
    return person_of
