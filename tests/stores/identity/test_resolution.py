"""The person behind each name: the same whatever the order in which names were linked."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.stores.identity.resolution import Groups, Pair, effective, name_of
from tests.examples import examples

NAMES = st.sampled_from("abcdef")


def resolve(
    names: Iterable[str], claims: Mapping[str, str], aliases: Iterable[Pair]
) -> dict[str, str]:
    """The person of each name, by all claims and aliases."""
    groups, members = Groups(), defaultdict(list)
    pairs = effective(claims, aliases, set(claims.values()))
    for pair in pairs:
        groups.join(*pair)
    others, users = {other for other, _ in pairs}, {user for _, user in pairs}
    for name in {*names, *others, *users}:
        members[groups.find(name)].append(name)
    named = {root: name_of(group, others, users) for root, group in members.items()}
    return {name: named[root] for root, group in members.items() for name in group}


@pytest.mark.parametrize(
    ("claims", "aliases", "person"),
    [
        ({}, [], {"x": "x"}),
        ({"d": "u"}, [], {"d": "u", "u": "u"}),
        ({"d": "u", "e": "u"}, [], {"d": "u", "e": "u", "u": "u"}),
        ({"d": "u", "u": "v"}, [], {"d": "u", "u": "u", "v": "v"}),
        ({}, [("old", "new")], {"old": "new", "new": "new"}),
        ({}, [("a", "b"), ("b", "c")], {"a": "c", "b": "c", "c": "c"}),
        ({}, [("old", "v"), ("old", "u")], {"old": "u", "u": "u", "v": "u"}),
        ({}, [("b", "a"), ("a", "b")], {"a": "a", "b": "a"}),
        ({"d": "old"}, [("old", "new")], {"d": "new", "old": "new", "new": "new"}),
    ],
    ids=[
        "nobody else", "a claim", "two claims", "a user who is claimed", "an alias",
        "aliases of aliases", "an alias of two users", "aliases in a circle", "both",
    ],
)  # fmt: skip
def test_a_person_goes_by_the_name_that_is_nobodys_other_name(
    claims: dict[str, str], aliases: list[Pair], person: dict[str, str]
) -> None:
    assert resolve(person, claims, aliases) == person


@examples(300)
@given(
    claims=st.dictionaries(NAMES, NAMES, max_size=4),
    aliases=st.lists(st.tuples(NAMES, NAMES), max_size=4),
)
def test_the_order_of_claims_and_aliases_does_not_matter(
    claims: dict[str, str], aliases: list[Pair]
) -> None:
    persons = resolve("abcdef", claims, aliases)
    assert {persons[person] for person in persons.values()} == {*persons.values()}
    assert resolve("fedcba", dict([*claims.items()][::-1]), aliases[::-1]) == persons


def test_a_group_takes_no_more_names_than_the_limit_and_keeps_those_that_it_has() -> None:
    groups = Groups(5, {"large": 4, "full": 5})
    assert groups.join("a", "large")
    assert not groups.join("b", "large")
    assert not groups.join("full", "c")
    assert groups.join("b", "c")
    assert groups.join("b", "c")
    assert [groups.size(name) for name in ("a", "b", "full")] == [5, 2, 5]
    assert groups.find("a") == "large"
