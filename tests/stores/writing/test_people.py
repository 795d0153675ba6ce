"""People: a number for each actor of a project, and which numbers are remembered."""

import random

from analytics.stores import PostgresStore
from analytics.stores.writing.people import People
from tests.stores.conftest import a_job, ask
from tests.stores.upkeep.test_rollups import some


async def test_people_have_one_dense_number_each_in_their_project(store: PostgresStore) -> None:
    dice = random.Random(3)
    for project in ("a", "b"):
        for _ in range(3):
            await store.write([a_job(*some(20, dice, project=project))])
    numbers = "SELECT array_agg(number ORDER BY number) FROM people WHERE project = $1"
    actors = (
        "SELECT count(DISTINCT coalesce(user_id, session_id)) FROM raw_events WHERE project = $1"
    )
    for project in ("a", "b"):
        assert await ask(store, numbers, project) == list(range(await ask(store, actors, project)))


def test_the_numbers_of_who_was_seen_most_recently_are_remembered() -> None:
    people = People(limit=4)
    actors = [("p", name) for name in "abcdefg"]
    for number, actor in enumerate(actors):
        people.remember({actor: number})
        assert people.known(actors[:1]) == {actors[0]: 0}, "it was asked for again and again"
    known = people.known(actors)
    assert known == {actor: number for number, actor in enumerate(actors) if actor in known}
    assert actors[-1] in known
    assert actors[1] not in known
    assert len(known) <= 6


def test_a_name_is_another_actor_in_another_project() -> None:
    people = People()
    people.remember({("p", "a"): 3})
    assert people.known([("q", "a"), ("p", "a")]) == {("p", "a"): 3}
