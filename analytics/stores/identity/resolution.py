"""The person behind each name: a function of all claims and aliases, whatever their order."""

from collections.abc import Collection, Iterable, Mapping

Pair = tuple[str, str]
"""An other name (anonymous or previous id) and the user's name."""


class Groups:
    """Names joined into groups of at most `limit` names.

    A name may stand for many: `sizes` says for how many. Joining takes the same time whatever the
    size of the groups.
    """

    def __init__(self, limit: float = float("inf"), sizes: Mapping[str, int] | None = None) -> None:
        self._limit = limit
        self._sizes = dict(sizes or {})
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The root of a name's group; shortens the path on the way."""
        root = name
        while (above := self._parent.get(root, root)) != root:
            root = above
        while (above := self._parent.get(name, root)) != root:
            self._parent[name], name = root, above
        return root

    def size(self, name: str) -> int:
        """How many names the group of a name has."""
        return self._sizes.get(self.find(name), 1)

    def join(self, one: str, other: str) -> bool:
        """Join two groups, the smaller into the larger; False if the names would be too many."""
        small, large = sorted((self.find(one), self.find(other)), key=self.size)
        if small == large:
            return True
        size = self.size(small) + self.size(large)
        if size > self._limit:
            return False
        self._parent[small], self._sizes[large] = large, size
        return True


def effective(
    claims: Mapping[str, str], aliases: Iterable[Pair], users: Collection[str]
) -> set[Pair]:
    """The pairs that join two names; `users` are those among the claimed names who have claimed.

    `claims` maps an anonymous id to the user who claims it. A claim never merges two users: it is
    ignored if the claimed id has itself claimed somebody. Only an alias joins two users.
    """
    return {(other, user) for other, user in claims.items() if other not in users} | {*aliases}


def name_of(group: Iterable[str], others: Collection[str], users: Collection[str]) -> str:
    """The name that a person goes by: the one that is nobody's other name.

    If there are several, or none, the users' names count, and the first of them in order of code
    points wins.
    """
    return min(group, key=lambda name: (rank(name, others, users), name))


def rank(name: str, others: Collection[str], users: Collection[str]) -> int:
    """0 for a name that is nobody's other name, 1 for another user's name, else 2."""
    if name not in others:
        return 0
    return 1 if name in users else 2
