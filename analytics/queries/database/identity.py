"""Identity links: they count several actors as one person.

Links are applied to the actors of raw rows, by a join that is made only in a project with links,
and to sets of numbers. Sets are remembered as they were stored (`memory.py`), and links are applied
to their unions. So a new link makes nothing wrong that is remembered.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap
from sqlalchemy import FromClause, Select, and_, func, select
from sqlalchemy.sql import visitors
from sqlalchemy.sql.functions import FunctionElement

from analytics.tables import identity_links, identity_versions, raw_events

Statement = Select[*tuple[Any, ...]]

_table = identity_links.c
_ACTOR = func.coalesce(raw_events.c.user_id, raw_events.c.session_id)


class IdentityLinks:
    """The identity links of a project in one version: from an actor's number to its person's.

    Version 0: there are none, and never were any.
    """

    def __init__(self, version: int = 0, persons: dict[int, int] | None = None) -> None:
        self.version = version
        self._persons = persons or {}
        self._linked = BitMap(self._persons)

    def __len__(self) -> int:
        return len(self._persons)

    def changed(self, version: int, rows: Collection[tuple[int, int]]) -> "IdentityLinks":
        """The links of a later version, by the rows that changed since: (number, person's number).

        A number that is its own person's is no longer linked.
        """
        persons = self._persons | {number: person for number, person in rows if number != person}
        for number, person in rows:
            if number == person:
                persons.pop(number, None)
        return IdentityLinks(version, persons)

    def united(self, people: BitMap) -> BitMap:
        """The set with one number for each person; the same set if nobody in it is linked."""
        linked = people & self._linked
        if not linked:
            return people
        persons = itemgetter(*linked)(self._persons)
        return (people - linked) | BitMap(persons if len(linked) > 1 else [persons])

    def persons(self, numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """The person's number of each number, in any order; the same array without any links."""
        if not self._persons:
            return numbers
        linked, persons = self._columns
        places = np.minimum(np.searchsorted(linked, numbers), len(linked) - 1)
        return np.where(linked[places] == numbers, persons[places], numbers)

    @cached_property
    def _columns(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The linked numbers, ascending, and their persons' numbers."""
        linked = np.fromiter(self._persons, np.uint32, len(self._persons))
        persons = np.fromiter(self._persons.values(), np.uint32, len(self._persons))
        order = np.argsort(linked)
        return linked[order], persons[order]


NO_LINKS = IdentityLinks()

MAX_LINKS = 2_000_000
"""Links that are cached, of all projects together; 100,000 take some 15 MB."""


class LinkCache:
    """The newest links of each project; every snapshot is asked which version it has.

    Above the limit, the project is forgotten whose links were read longest ago. What counts is the
    number of links, not of projects, so this is no `Lru`.
    """

    def __init__(self, limit: int = MAX_LINKS) -> None:
        self._limit = limit
        self._links: OrderedDict[str, IdentityLinks] = OrderedDict()

    async def links(
        self, project: str, rows: Callable[[Statement], Awaitable[Sequence[Any]]]
    ) -> IdentityLinks:
        """The links as the snapshot has them whose `rows` this is; only changes are read."""
        current = await rows(version(project))
        if not current:
            return NO_LINKS
        now, cached = current[0].version, self._links.get(project, NO_LINKS)
        if cached.version == now:
            return cached
        if cached.version > now:  # cached from a later snapshot, and this one must stay as it is
            cached = NO_LINKS
        changed = await rows(changes(project, cached.version))
        pairs = [(row.number, row.person_number) for row in changed]
        links = await asyncio.to_thread(cached.changed, now, pairs)
        if links.version > self._links.get(project, NO_LINKS).version:
            self._links[project] = links
            self._links.move_to_end(project)
            while len(self._links) > 1 and sum(map(len, self._links.values())) > self._limit:
                self._links.popitem(last=False)
        return links


def version(project: str) -> Statement:
    """`version`, or no row."""
    return select(identity_versions.c.version).where(identity_versions.c.project == project)


def changes(project: str, since: int) -> Statement:
    """`number` and `person_number` of links that changed after a version."""
    return select(_table.number, _table.person_number).where(
        _table.project == project, _table.version > since
    )


def person(project: str, name: str) -> Statement:
    """`person` of an actor's name, or no row."""
    return select(_table.person).where(_table.project == project, _table.actor == name)


def names(project: str, persons: Collection[str]) -> Statement:
    """`actor` and `person` of all names linked to these persons."""
    return select(_table.actor, _table.person).where(
        _table.project == project, _table.person.in_(persons)
    )


def linked(statement: Statement, project: str) -> Statement:
    """A statement about a project's raw rows, with persons in place of actors.

    The statement itself if it does not read actors.
    """
    if not any(_is_actor(element) for element in visitors.iterate(statement)):
        return statement
    rows = _rows(project)

    def replace(element: Any, **_: Any) -> Any:
        if element is raw_events:
            return rows
        if getattr(element, "table", None) is raw_events:
            return rows.c[element.name]
        return rows.c.actor if _is_actor(element) else None

    return cast(Statement, visitors.replacement_traverse(statement, {}, replace))


def _is_actor(element: Any) -> bool:
    return isinstance(element, FunctionElement) and element.compare(_ACTOR)


def _rows(project: str) -> FromClause:
    """Raw rows with one more column, `actor`: the person's name, else the actor's own.

    The left join is with a primary key, so it adds and removes no rows, and PostgreSQL knows that.
    """
    on = and_(_table.project == project, _table.actor == _ACTOR.collate("C"))
    actor = func.coalesce(_table.person, _ACTOR).label("actor")
    return (
        select(*raw_events.c, actor)
        .select_from(raw_events.outerjoin(identity_links, on))
        .subquery("raw_events")
    )
