"""Persons: brings the stored links in line with the stored claims and aliases.

A person of few names is read whole, from all that is said of them. A person of many names has a row
in `identity_persons` and is not read: a new name or another person joins it at the cost of the
smaller side, whatever the size of the larger. Only where something said no longer holds is a large
person read whole.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from math import inf
from typing import NamedTuple

import asyncpg

from analytics.stores.identity.resolution import Groups, Pair, effective, name_of, rank
from analytics.stores.identity.statements import (
    ABSORB,
    ALIASES,
    CLAIMS,
    FORGET,
    LINK,
    LINKED,
    MEMBERS,
    NAME,
    NUMBERS,
    RANK_OTHERS,
    RANK_USERS,
    SIZES,
    USERS,
)

MAX_NAMES = 10_000
"""The most names of a person. What would link more is stored as events and links nobody."""

FEW_NAMES = 50
"""A person with more names has a row in `identity_persons`."""

MAX_READ = 50_000
"""The most names, and the most aliases, of large persons that one transaction reads again."""


class Regrouped(NamedTuple):
    """Pairs that would have made a person too large, and large persons that were left as they are.

    The latter have names that they should have lost.
    """

    refused: set[Pair]
    left: int


class _Link(NamedTuple):
    """What a row of `identity_links` says of an actor."""

    person: str
    rank: int | None


async def users_among(
    connection: asyncpg.Connection, project: str, names: Collection[str]
) -> set[str]:
    """Those of some names who have claimed somebody."""
    rows = await connection.fetch(USERS, project, list(names)) if names else []
    return {row["name"] for row in rows}


async def regroup(
    connection: asyncpg.Connection,
    project: str,
    version: int,
    *,
    touched: Collection[str],
    pairs: Collection[Pair] = (),
    dirty: Collection[str] = (),
    bounded: bool = True,
) -> Regrouped:
    """Write the links that follow from the claims and aliases that are stored by now.

    `touched` are the names that something new is said of, with all of `pairs`, which is what joins
    two of them. `dirty` are those of them that something no longer holds of. Without `bounded`,
    neither MAX_NAMES nor MAX_READ holds.
    """
    view = _View(connection, project, bounded=bounded)
    await view.read(touched, dirty)
    return await view.write(pairs, version)


class _View:
    """The persons that a change touches: the small ones name by name, each large one as a whole."""

    def __init__(self, connection: asyncpg.Connection, project: str, *, bounded: bool) -> None:
        self._connection = connection
        self._project = project
        self._max_names: float = MAX_NAMES if bounded else inf
        self._budget: float = MAX_READ if bounded else inf
        self._links: dict[str, _Link] = {}
        self._names: set[str] = set()  # read one by one
        self._whole: dict[str, int] = {}  # large persons → how many names they have
        self._reread: set[str] = set()  # large persons whose names are in `_names`
        self._pairs: set[Pair] = set()  # that hold of `_names`
        self._left = 0

    async def read(self, touched: Collection[str], dirty: Collection[str]) -> None:
        """Read the persons of some names, and those that they join by what is stored."""
        seen: set[str] = set()
        fresh = {*touched}
        while fresh:
            await self._read_links(LINKED, fresh)
            persons = {self._links[name].person for name in fresh if name in self._links} - seen
            seen |= persons
            large_dirty = {self._links[name].person for name in dirty if name in self._links}
            read = await self._choose(persons, large_dirty)
            names = await self._read_links(MEMBERS, read) if read else set()
            names |= {name for name in fresh if name not in self._links}
            found = await self._held(names)
            self._names |= names
            self._pairs |= found
            fresh = {name for pair in found for name in pair} - fresh - self._names

    async def _read_links(self, statement: str, asked: Collection[str]) -> set[str]:
        """Remember rows of `identity_links`; returns their actors."""
        rows = await self._connection.fetch(statement, self._project, list(asked))
        self._links |= {row["actor"]: _Link(row["person"], row["rank"]) for row in rows}
        return {row["actor"] for row in rows}

    async def _choose(self, persons: Collection[str], dirty: Collection[str]) -> set[str]:
        """Those of some persons that are read name by name; the others are taken as a whole."""
        read = set()
        asked = self._project, list(persons), MAX_NAMES + 1
        for person, large, names in await self._connection.fetch(SIZES, *asked) if persons else ():
            if not large and names <= MAX_NAMES:
                read.add(person)
            elif person in dirty and await self._affordable(person, names):
                read.add(person)
                self._reread.add(person)
            else:
                self._whole[person] = names
                self._left += person in dirty
        return read

    async def _affordable(self, person: str, names: int) -> bool:
        """Whether a large person and their aliases may be read; takes it off the budget."""
        if self._budget == inf:
            return True
        if names <= self._budget:
            self._budget -= names
            members = await self._connection.fetch(MEMBERS, self._project, [person])
            asked = [row["actor"] for row in members], MAX_READ + 1
            aliases = await self._connection.fetch(ALIASES, self._project, *asked)
            return len(aliases) <= MAX_READ
        return False

    async def _held(self, names: Collection[str]) -> set[Pair]:
        """The pairs that hold by the claims and aliases of some names as the other name."""
        if not names:
            return set()
        asked = self._project, list(names)
        claims = dict(await self._connection.fetch(CLAIMS, *asked))
        aliases = [tuple(row) for row in await self._connection.fetch(ALIASES, *asked, None)]
        users = await users_among(self._connection, self._project, claims)
        return effective(claims, aliases, users)

    async def write(self, new: Collection[Pair], version: int) -> Regrouped:
        """Join what belongs together, and write what changed."""
        groups = Groups(self._max_names, self._whole)
        joined: set[Pair] = set()
        refused: set[Pair] = set()
        # what is linked already comes first: not it is refused where there is no room for both
        for pair in [*sorted(self._pairs - {*new}), *sorted({*new})]:
            held = groups.join(*map(self._node, pair))
            (joined if held else refused).add(pair)
        plan = _Plan(self._links, joined)
        members: defaultdict[str, list[str]] = defaultdict(list)
        wholes: defaultdict[str, list[str]] = defaultdict(list)
        for name in self._names:
            members[groups.find(name)].append(name)
        for person in self._whole:
            wholes[groups.find(person)].append(person)
        for root in {*members, *wholes}:
            size = groups.size(root)
            if size <= self._max_names:  # else it was too large before, and nothing joins it
                whole = {person: self._whole[person] for person in wholes[root]}
                plan.group(members[root], whole, size)
        await self._carry_out(plan, version)
        return Regrouped(refused, self._left)

    def _node(self, name: str) -> str:
        """What a name is when groups are joined: itself, or the large person that has it."""
        link = self._links.get(name)
        return link.person if link and link.person in self._whole else name

    async def _carry_out(self, plan: "_Plan", version: int) -> None:
        connection, project = self._connection, self._project
        names = sorted(plan.persons)
        people = [plan.persons[name] for name in names]
        asked = {*names, *people, *plan.absorbed.values()}
        number = dict(await connection.fetch(NUMBERS, project, list(asked)))
        if plan.absorbed:
            gone = sorted(plan.absorbed.items())
            changes = [(project, old, new, number[new], version) for old, new in gone]
            await connection.executemany(ABSORB, changes)
        if names:
            numbers = ([number[name] for name in each] for each in (names, people))
            ranks = [plan.ranks.get(name) for name in names]
            await connection.execute(LINK, project, names, people, *numbers, ranks, version)
        if others := sorted(plan.others - self._names):
            await connection.execute(RANK_OTHERS, project, others)
        if users := sorted(plan.users - self._names):
            await connection.execute(RANK_USERS, project, users)
        if forgotten := {*plan.absorbed, *self._reread} - plan.large.keys():
            await connection.execute(FORGET, project, sorted(forgotten))
        if plan.large:
            await connection.execute(NAME, project, list(plan.large), list(plan.large.values()))


class _Plan:
    """The links to be written: names → persons, large persons that end in others, and sizes."""

    def __init__(self, links: Mapping[str, _Link], joined: set[Pair]) -> None:
        self.others = {other for other, _ in joined}
        self.users = {user for _, user in joined}
        self.persons: dict[str, str] = {}
        self.ranks: dict[str, int | None] = {}
        self.absorbed: dict[str, str] = {}
        self.large: dict[str, int] = {}
        self._links = links

    def group(self, names: Collection[str], whole: Mapping[str, int], size: int) -> None:
        """Plan for one person: its names that were read, and the large persons that it takes in."""
        person = self._person(names, whole, size)
        self.absorbed |= {old: person for old in whole if old != person}
        ranks: dict[str, int | None] = dict.fromkeys(names)
        if size > FEW_NAMES:
            self.large[person] = size
            ranks = {name: rank(name, self.others, self.users) for name in names}
        for name in names:
            before = self._links.get(name)
            if before != (person, ranks[name]) and (before or name != person or size > 1):
                self.persons[name] = person
                self.ranks[name] = ranks[name]

    def _person(self, names: Collection[str], whole: Mapping[str, int], size: int) -> str:
        """Which name stands for the person in `identity_links`.

        For few names the name that the person goes by; else one that changes the fewest rows.
        """
        if whole:
            return min(whole, key=lambda person: (-whole[person], person))
        if size > FEW_NAMES:
            read = {*names}
            before = Counter(self._links[name].person for name in names if name in self._links)
            kept = [person for person, _ in before.most_common() if person in read]
            if kept:
                return kept[0]
        return name_of(names, self.others, self.users)
