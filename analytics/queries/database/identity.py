"""Identity: who is whom, applied where questions look at people: to the actors of raw rows and to
sets of numbers.

Raw rows are joined with the links only in a project that has any. Sets are remembered as they were
stored (`memory.py`), and links are applied to what is put together from them, so that a new link
makes nothing that is remembered wrong.
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


class Links:
    """The links of a project in one version: whose number stands for which. `version` 0: there are
    none, and there never were.
    """

    def __init__(self, version: int = 0, persons: dict[int, int] | None = None) -> None:
        self.version = version
        self._persons = persons or {}
        self._others = BitMap(self._persons)

    def __len__(self) -> int:
        return len(self._persons)

    def changed(self, version: int, rows: Collection[tuple[int, int]]) -> "Links":
        """The links of a later version, by what changed since."""
        persons = self._persons | {number: person for number, person in rows if number != person}
        for number, person in rows:
            if number == person:
                persons.pop(number, None)
        return Links(version, persons)

    def united(self, people: BitMap) -> BitMap:
        """A set of people in which everybody has one number."""
        others = people & self._others
        if not others:
            return people
        found = itemgetter(*others)(self._persons)
        return (people - others) | BitMap(found if len(others) > 1 else [found])

    def persons(self, numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Whose numbers these are, ascending or not; the same array where nobody is linked."""
        if not self._persons:
            return numbers
        others, theirs = self._columns
        places = np.minimum(np.searchsorted(others, numbers), len(others) - 1)
        return np.where(others[places] == numbers, theirs[places], numbers)

    @cached_property
    def _columns(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The numbers that are linked, ascending, and whose they are."""
        others = np.fromiter(self._persons, np.uint32, len(self._persons))
        order = np.argsort(others)
        return others[order], np.fromiter(self._persons.values(), np.uint32, len(self._persons))[
            order
        ]


NONE = Links()

LIMIT = 2_000_000
"""Links that are remembered, of all projects; 100,000 are some 15 MB."""


class Known:
    """The newest links of each project that anybody has asked for; which version holds is asked of
    every snapshot.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._known: OrderedDict[str, Links] = OrderedDict()

    async def links(
        self, project: str, rows: Callable[[Statement], Awaitable[Sequence[Any]]]
    ) -> Links:
        """The links of the snapshot that `rows` reads; of what is known already, only changes are
        read.
        """
        found = await rows(version(project))
        if not found:
            return NONE
        now, known = found[0].version, self._known.get(project, NONE)
        if known.version == now:
            return known
        if known.version > now:  # another snapshot is ahead of this one, which has to be as it is
            known = NONE
        links = await asyncio.to_thread(
            known.changed,
            now,
            [
                (row.number, row.person_number)
                for row in await rows(changes(project, known.version))
            ],
        )
        if links.version > self._known.get(project, NONE).version:
            self._known[project] = links
            self._known.move_to_end(project)
            while len(self._known) > 1 and sum(map(len, self._known.values())) > self._limit:
                self._known.popitem(last=False)
        return links


def version(project: str) -> Statement:
    """`version`, or no row."""
    return select(identity_versions.c.version).where(identity_versions.c.project == project)


def changes(project: str, since: int) -> Statement:
    """Numbers, and whose they are, of links that changed after a version."""
    return select(_table.number, _table.person_number).where(
        _table.project == project, _table.version > since
    )


def person(project: str, name: str) -> Statement:
    """`person` of a name, or no row."""
    return select(_table.person).where(_table.project == project, _table.actor == name)


def names(project: str, persons: Collection[str]) -> Statement:
    """`actor` and `person` of all linked names of some people."""
    return select(_table.actor, _table.person).where(
        _table.project == project, _table.person.in_(persons)
    )


def linked(statement: Statement, project: str) -> Statement:
    """A statement about a project's raw rows, with persons for actors; itself if it does not look
    at actors.
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
    """Raw rows with one column more: it is PostgreSQL's to see that a join with a primary key adds
    or removes none.
    """
    on = and_(_table.project == project, _table.actor == _ACTOR.collate("C"))
    actor = func.coalesce(_table.person, _ACTOR).label("actor")
    return (
        select(*raw_events.c, actor)
        .select_from(raw_events.outerjoin(identity_links, on))
        .subquery("raw_events")
    )
