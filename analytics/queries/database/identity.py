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
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    any_,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import visitors
from sqlalchemy.sql.functions import FunctionElement

from analytics.tables import (
    identity_links,
    identity_persons,
    identity_versions,
    people_last,
    raw_events,
)

Statement = Select[*tuple[Any, ...]]

_table = identity_links.c
_named = and_(
    identity_persons.c.project == identity_links.c.project,
    identity_persons.c.person == identity_links.c.person,
)
_links = identity_links.outerjoin(identity_persons, _named)
_name = func.coalesce(identity_persons.c.name, identity_links.c.person)
"""The name that a person goes by, of a row of `_links`."""

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

    def changed(
        self, version: int, numbers: Sequence[int], persons: Sequence[int]
    ) -> "IdentityLinks":
        """The links of a later version, by the numbers that changed since, and their persons'.

        A number that is its own person's is no longer linked.
        """
        new = dict(zip(numbers, persons, strict=True))
        linked = self._persons | new
        for number, person in new.items():
            if number == person:
                del linked[number]
        return IdentityLinks(version, linked)

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
        self, project: str, now: int, rows: Callable[[Statement], Awaitable[Sequence[Any]]]
    ) -> IdentityLinks:
        """The links as the snapshot has them whose `rows` this is; only changes are read.

        `now` is their version in that snapshot.
        """
        cached = self._links.get(project, NO_LINKS)
        if cached.version == now:
            return cached
        if cached.version > now:  # cached from a later snapshot, and this one must stay as it is
            cached = NO_LINKS
        (row,) = await rows(changes(project, cached.version))
        links = await asyncio.to_thread(cached.changed, now, row.numbers, row.persons)
        if links.version > self._links.get(project, NO_LINKS).version:
            self._links[project] = links
            self._links.move_to_end(project)
            while len(self._links) > 1 and sum(map(len, self._links.values())) > self._limit:
                self._links.popitem(last=False)
        return links


def state(project: str) -> Statement:
    """The `version` of the links, 0 without any, and how many `people` have had numbers."""
    version = select(identity_versions.c.version).where(identity_versions.c.project == project)
    people = select(people_last.c.number + 1).where(people_last.c.project == project)
    return select(
        func.coalesce(version.scalar_subquery(), 0).label("version"),
        func.coalesce(people.scalar_subquery(), 0).label("people"),
    )


def changes(project: str, since: int) -> Statement:
    """`numbers` and `persons`, arrays of the links that changed after a version.

    One row, because 8,000 links take four times as long as rows of their own.
    """
    empty: ColumnElement[Any] = literal_column("'{}'")
    return select(
        func.coalesce(func.array_agg(_table.number), empty).label("numbers"),
        func.coalesce(func.array_agg(_table.person_number), empty).label("persons"),
    ).where(_table.project == project, _table.version > since, literal_column("version > 0"))


def person(project: str, name: str) -> Statement:
    """`person`, the name that an actor's person goes by, or no row."""
    return (
        select(_name.label("person"))
        .select_from(_links)
        .where(_table.project == project, _table.actor == name)
    )


def names(project: str, persons: Collection[str]) -> Statement:
    """`actor` and `person` of all names of these persons, who are asked for by their own names."""
    own = identity_links.alias("own")
    return (
        select(_table.actor, own.c.actor.label("person"))
        .join(own, and_(own.c.project == _table.project, own.c.person == _table.person))
        .where(own.c.project == project, own.c.actor == any_(literal([*persons], ARRAY(Text))))
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

    Each left join is with a primary key, so it adds and removes no rows, and PostgreSQL knows that.
    """
    on = and_(_table.project == project, _table.actor == _ACTOR.collate("C"))
    named = and_(identity_persons.c.project == project, identity_persons.c.person == _table.person)
    actor = func.coalesce(_name, _ACTOR).label("actor")
    return (
        select(*raw_events.c, actor)
        .select_from(raw_events.outerjoin(identity_links, on).outerjoin(identity_persons, named))
        .subquery("raw_events")
    )
