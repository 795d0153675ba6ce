"""The person behind each name: a function of all claims and aliases, whatever their order."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

Pair = tuple[str, str]
"""An other name (anonymous or previous id) and the user's name."""


def resolve(
    names: Iterable[str], claims: Mapping[str, str], aliases: Iterable[Pair]
) -> dict[str, str]:
    """The person of each name.

    `claims` maps an anonymous id to the user who claims it. A claim never merges two users: it is
    ignored if the claimed id has itself claimed somebody. Only an alias joins two users.

    A person goes by the name that is nobody's other name. If there are several, or none, the users'
    names count, and the first of them in order of code points wins.
    """
    users = set(claims.values())
    pairs = [*((other, user) for other, user in claims.items() if other not in users), *aliases]
    parent: dict[str, str] = {}  # a union-find forest: a name without a parent is a root

    def find(name: str) -> str:
        """The root of a name's tree; shortens the path on the way."""
        root = name
        while (above := parent.get(root, root)) != root:
            root = above
        while (above := parent.get(name, root)) != root:
            parent[name], name = root, above
        return root

    for other, user in pairs:
        parent[find(other)] = find(user)
    others, users_linked = {other for other, _ in pairs}, {user for _, user in pairs}
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in {*names, *others, *users_linked}:
        groups[find(name)].append(name)
    persons = {root: _choose(group, others, users_linked) for root, group in groups.items()}
    return {name: persons[root] for root, group in groups.items() for name in group}


def _choose(group: Iterable[str], others: set[str], users: set[str]) -> str:
    """The name that a person goes by."""
    group = list(group)
    own = [name for name in group if name not in others]
    return min(own or [name for name in group if name in users])
