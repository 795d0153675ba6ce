"""Resolving: which names are one person, and which of them is the person's; a function of what was
said, not of its order.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

Pair = tuple[str, str]
"""Another name, and the user's."""


def resolve(
    names: Iterable[str], claims: Mapping[str, str], aliases: Iterable[Pair]
) -> dict[str, str]:
    """The person of each name.

    Claims (anonymous id → user) do not hold for who has claimed somebody: that is a user, and only
    an alias joins two users. A person goes by the name that is nobody's other name; of several, or
    where there is none, the first in order of code points of those that are users'.
    """
    users = set(claims.values())
    links = [*((other, user) for other, user in claims.items() if other not in users), *aliases]
    head: dict[str, str] = {}

    def find(name: str) -> str:
        root = name
        while (above := head.get(root, root)) != root:
            root = above
        while (above := head.get(name, root)) != root:
            head[name], name = root, above
        return root

    for other, user in links:
        head[find(other)] = find(user)
    others, linked = {other for other, _ in links}, {user for _, user in links}
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in {*names, *others, *linked}:
        groups[find(name)].append(name)
    persons = {
        root: min(
            [name for name in group if name not in others]
            or [name for name in group if name in linked]
        )
        for root, group in groups.items()
    }
    return {name: persons[root] for root, group in groups.items() for name in group}
