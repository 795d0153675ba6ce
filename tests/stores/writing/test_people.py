"""People: a number for each actor of a project, and which numbers are remembered."""

import random

import msgspec

from analytics.events import Outcome
from analytics.stores import PostgresStore
from analytics.stores.writing.people import MAX_NUMBER, People
from tests.stores.conftest import a_job, an_event, ask
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


def test_what_is_remembered_ends_with_its_epoch() -> None:
    people = People()
    people.remember({("p", "a"): 3})
    people.enter(0)
    assert people.known([("p", "a")])
    people.enter(1)
    assert not people.known([("p", "a")])
    people.remember({("p", "a"): 3}, 0)
    assert not people.known([("p", "a")]), "of a transaction that began before"
    people.remember({("p", "a"): 5}, 1)
    assert people.known([("p", "a")]) == {("p", "a"): 5}


async def test_a_project_without_numbers_left_refuses_new_people_and_stores_what_others_do(
    store: PostgresStore,
) -> None:
    await store.write([a_job(an_event(user_id="old"))])
    await store._pool.execute("UPDATE people_last SET number = $1", MAX_NUMBER - 1)
    claim = msgspec.json.encode({"$anonymous_id": "device"})
    last, beyond, saying = (
        an_event(user_id="last"),
        an_event(user_id="beyond"),
        an_event(user_id="old", metadata=claim),
    )
    old, elsewhere = an_event(user_id="old"), an_event(user_id="beyond", project="other")
    written = await store.write([a_job(last, beyond, old), a_job(saying, elsewhere)])
    assert written.outcomes == [Outcome(stored=2, dead_lettered=1)] * 1 + [
        Outcome(stored=1, dead_lettered=1)
    ]
    assert {event.id for event in written.stored} == {last.id, old.id, elsewhere.id}
    assert await ask(store, "SELECT max(number) FROM people") == MAX_NUMBER
    letters = await store.dead_letters.page()
    assert {(letter.event_id, letter.reason) for letter in letters} == {
        (beyond.id, "no_number_left"),
        (saying.id, "no_number_left"),
    }
    assert "has had 2,147,483,647 people" in letters[0].message
    again = await store.write([a_job(beyond)])
    assert again.outcomes == [Outcome(dead_lettered=1)], "its id was not remembered as stored"


async def test_the_last_number_is_enough_for_all_events_of_one_person(
    plain_store: PostgresStore,
) -> None:
    await plain_store.write([a_job(an_event(user_id="old"))])
    await plain_store._pool.execute("UPDATE people_last SET number = $1", MAX_NUMBER - 1)
    sent = [an_event(user_id=user) for user in ("last", "last", "beyond", "last")]
    written = await plain_store.write([a_job(*sent)])
    assert written.outcomes == [Outcome(stored=3, dead_lettered=1)]
