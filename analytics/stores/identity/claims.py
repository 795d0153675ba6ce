"""What an event says about identity. This one place decides it for all protocols.

A claim: the event's user says an anonymous id was theirs. An alias: the user says an earlier name
was theirs.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from analytics.events import NO_ACTOR, NO_SESSION, Event
from analytics.placeholders import is_placeholder

ALIAS = "alias"
"""The event type whose `$previous_id` is an alias."""

MAX_NAME_CHARACTERS = 255
"""No actor has a longer name."""

_OURS = (NO_SESSION, NO_ACTOR)
_ZERO = re.compile(r"-?0(?:\.0+)?(?:e[+-]?[0-9]+)?")
"""The number 0 as JSON may write it, in lower case."""


def is_nobodys(name: str) -> bool:
    """Whether a name is never one of a person's: linked, it would join all who have no id."""
    word = name.strip().lower()
    return is_placeholder(word) or word in _OURS or bool(_ZERO.fullmatch(word))


class Claim(NamedTuple):
    """An anonymous id was this user's: when the event says so, and the event's id."""

    anonymous_id: str
    user_id: str
    at: datetime
    event: UUID


class Alias(NamedTuple):
    """Two names of one person; `previous_id` is the older one."""

    previous_id: str
    user_id: str


class Claims(NamedTuple):
    """What the events of one project say about identity."""

    claims: list[Claim]
    aliases: list[Alias]

    @property
    def names(self) -> set[str]:
        """Every name in any claim or alias."""
        pairs = [*(claim[:2] for claim in self.claims), *self.aliases]
        return {name for pair in pairs for name in pair}


class _Metadata(msgspec.Struct, gc=False):
    anonymous: Any = msgspec.field(name="$anonymous_id", default=None)
    previous: Any = msgspec.field(name="$previous_id", default=None)


_may_claim = re.compile(rb'\$(?:anonymous|previous)_id"|\\u').search
"""Whether metadata is worth decoding. A key may be written with escapes, so any escape counts."""

_decoder = msgspec.json.Decoder(_Metadata)


def find_claims(events: Sequence[Event]) -> dict[str, Claims]:
    """The claims and aliases of each project; projects without any are left out."""
    projects: dict[str, Claims] = {}
    for event in events:
        user, metadata = event.user_id, event.metadata
        if user is None or not _may_claim(metadata) or is_nobodys(user):
            continue
        fields = _decoder.decode(metadata)
        anonymous = _name(fields.anonymous, user)
        previous = _name(fields.previous, user) if event.event_type == ALIAS else None
        if anonymous or previous:
            of_project = projects.setdefault(event.project, Claims([], []))
            if anonymous:
                of_project.claims.append(Claim(anonymous, user, event.timestamp, event.id))
            if previous:
                of_project.aliases.append(Alias(previous, user))
    return projects


def _name(value: Any, user: str) -> str | None:
    """A value of metadata as the name of an actor other than the user; None if it is not one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS:
        return None
    return None if value == user or is_nobodys(value) else value
