"""What an event says of who is whom: the one place that decides which events link, for all
protocols.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from analytics.events import Event

ALIAS = "alias"
LONGEST = 255
"""Characters of an actor; nobody has a longer name."""


class Claim(NamedTuple):
    """An anonymous id was this user's, when, according to which event."""

    other: str
    person: str
    at: datetime
    event: UUID


class Alias(NamedTuple):
    """Two names of one person; the first is the older one."""

    other: str
    person: str


class Said(NamedTuple):
    """What the events of a project say."""

    claims: list[Claim]
    aliases: list[Alias]

    @property
    def names(self) -> set[str]:
        """Everybody it is about."""
        return {
            name
            for links in (self.claims, self.aliases)
            for link in links
            for name in (link.other, link.person)
        }


class _Metadata(msgspec.Struct, gc=False):
    anonymous: Any = msgspec.field(name="$anonymous_id", default=None)
    previous: Any = msgspec.field(name="$previous_id", default=None)


_may_say = re.compile(rb'\$(?:anonymous|previous)_id"|\\u').search
"""A key may be written with escapes, so whatever has any is decoded."""

_decoder = msgspec.json.Decoder(_Metadata)


def said(events: Sequence[Event]) -> dict[str, Said]:
    """By project; projects of which nothing is said are left out."""
    found: dict[str, Said] = {}
    for event in events:
        user, metadata = event.user_id, event.metadata
        if user is None or not _may_say(metadata):
            continue
        told = _decoder.decode(metadata)
        anonymous, previous = (
            _name(told.anonymous, user),
            _name(told.previous, user) if event.event_type == ALIAS else None,
        )
        if anonymous or previous:
            of_project = found.setdefault(event.project, Said([], []))
            if anonymous:
                of_project.claims.append(Claim(anonymous, user, event.timestamp, event.id))
            if previous:
                of_project.aliases.append(Alias(previous, user))
    return found


def _name(value: Any, user: str) -> str | None:
    """The name of an actor other than the user."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST and value != user else None
