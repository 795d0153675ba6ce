"""Persons of few names and of many: the same answers, at a cost that does not grow with names."""

import contextlib
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import asyncpg
import msgspec
import pytest

from analytics import metrics
from analytics.events import Event
from analytics.stores import PostgresStore
from analytics.stores.identity import persons
from tests.stores.conftest import a_job
from tests.stores.identity.test_links import saying
from tests.stores.identity.test_resolution import resolve

NAMES = """
SELECT actor, coalesce(named.name, link.person) AS person
FROM identity_links AS link LEFT JOIN identity_persons AS named USING (project, person)
"""


async def names(store: PostgresStore) -> dict[str, str]:
    """Each name, and the name that its person goes by."""
    return dict(await store._pool.fetch(NAMES))


def said(events: Sequence[Event]) -> dict[str, str]:
    """What `names` should be, without those who are alone, by the rules of docs/identity.md."""
    claims: dict[str, str] = {}
    aliases = []
    for event in sorted(events, key=lambda event: (event.timestamp, event.id)):
        metadata = msgspec.json.decode(event.metadata)
        assert event.user_id is not None
        if other := metadata.get("$anonymous_id"):
            claims.setdefault(other, event.user_id)
        if previous := metadata.get("$previous_id"):
            aliases.append((previous, event.user_id))
    who = resolve([], claims, aliases)
    return {name: person for name, person in who.items() if [*who.values()].count(person) > 1}


def crowd(dice: random.Random, people: int, events: int) -> list[Event]:
    """Claims and aliases, of users on devices of each other's."""

    def one() -> Event:
        user, other = dice.sample([f"n{number}" for number in range(people)], 2)
        if dice.random() < 0.7:
            return saying(user, dice.randrange(50), anonymous_id=other)
        return saying(user, dice.randrange(50), event_type="alias", previous_id=other)

    return [one() for _ in range(events)]


@contextmanager
def few_names(few: int) -> Iterator[None]:
    with patch.object(persons, "FEW_NAMES", few):
        yield


async def consistent(store: PostgresStore) -> None:
    """What is stored of persons says what the links say."""
    wrong = await store._pool.fetch("""
        WITH sizes AS (
            SELECT project, person, count(*) AS names,
                (array_agg(actor ORDER BY rank, actor))[1] AS name,
                bool_or(rank IS NULL) AS unranked
            FROM identity_links GROUP BY project, person
        )
        SELECT * FROM identity_persons AS kept FULL JOIN sizes USING (project, person)
        WHERE kept.name IS NOT NULL AND (
            kept.names IS DISTINCT FROM sizes.names OR kept.name IS DISTINCT FROM sizes.name
            OR unranked
        )
    """)
    assert not wrong
    wrong = await store._pool.fetch("""
        SELECT * FROM identity_links AS link
        JOIN people USING (project, actor) JOIN people AS root ON root.actor = link.person
        WHERE link.number <> people.number OR link.person_number <> root.number
    """)
    assert not wrong


@pytest.mark.parametrize("few", [1, 2, 4])
@pytest.mark.parametrize("seed", range(6))
async def test_persons_of_many_names_are_those_that_one_gets_by_reading_everything(
    plain_store: PostgresStore, few: int, seed: int
) -> None:
    dice = random.Random(seed)
    events = crowd(dice, people=[8, 14, 30][seed % 3], events=60)
    left = list(events)
    with few_names(few):
        while left:
            batch, left = left[: (size := dice.choice([1, 1, 2, 7]))], left[size:]
            await plain_store.write([a_job(*batch)])
            known = await names(plain_store)
            sizes = Counter(known.values())
            shared = {name: person for name, person in known.items() if sizes[person] > 1}
            assert shared == said(events[: len(events) - len(left)])
            await consistent(plain_store)
    if seed % 3 == 0:
        assert await plain_store._pool.fetchval("SELECT count(*) FROM identity_persons")


def alias(older: str, user: str) -> Event:
    return saying(user, event_type="alias", previous_id=older)


async def chained(store: PostgresStore, length: int, name: str = "n") -> None:
    """One person, by a chain of aliases with so many names."""
    links = [alias(f"{name}{at}", f"{name}{at + 1}") for at in range(length - 1)]
    for at in range(0, len(links), 500):
        await store.write([a_job(*links[at : at + 500])])


WORK = """
SELECT sum(idx_tup_fetch + seq_tup_read + n_tup_ins + n_tup_upd + n_tup_del)::int
FROM pg_stat_user_tables WHERE relname LIKE 'identity%'
"""


async def work(store: PostgresStore, *events: Event) -> int:
    """How many rows of identity's tables are read and written to store events."""
    async with store._pool.acquire() as connection:

        async def done() -> int:
            await connection.execute("SELECT pg_stat_force_next_flush()")
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            rows: int = await connection.fetchval(WORK)
            return rows

        before = await done()
        with patch.object(PostgresStore, "_connection", lambda _: borrowed(connection)):
            await store.write([a_job(*events)])
        return await done() - before


@contextlib.asynccontextmanager
async def borrowed(connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    yield connection


@pytest.mark.parametrize("kind", ["alias", "claim", "alias of the oldest name"])
async def test_a_new_name_costs_the_same_however_many_names_the_person_has(
    plain_store: PostgresStore, kind: str
) -> None:
    await chained(plain_store, 60, "few")
    await chained(plain_store, 4000, "many")
    costs = []
    for name, last in (("few", 59), ("many", 3999)):
        event = {
            "alias": alias(f"{name}{last}", f"{name}-new"),
            "claim": saying(f"{name}{last}", anonymous_id=f"{name}-new"),
            "alias of the oldest name": alias(f"{name}0", f"{name}-new"),
        }[kind]
        costs.append(await work(plain_store, event))
    few, many = costs
    assert many <= 2 * few
    assert many < 60
    known = await names(plain_store)
    assert known["many-new"] == known["many7"]


async def test_the_smaller_person_joins_the_larger(plain_store: PostgresStore) -> None:
    await chained(plain_store, 60, "small")
    await chained(plain_store, 1500, "large")
    assert await work(plain_store, alias("large1499", "small0")) < 500
    assert {*(await names(plain_store)).values()} == {"small59"}
    await consistent(plain_store)


async def test_a_person_has_a_bounded_number_of_names_and_what_is_beyond_is_counted(
    plain_store: PostgresStore,
) -> None:
    with patch.object(persons, "MAX_NAMES", 200), few_names(20):
        refused = counted()
        await chained(plain_store, 150, "a")
        await chained(plain_store, 100, "b")
        assert counted() == refused
        too_many = alias("b99", "a0")
        written = await plain_store.write([a_job(too_many, saying("a149", anonymous_id="x"))])
        assert written.outcomes[0].stored == 2, "the events stay"
        assert counted() == refused + 1
        known = await names(plain_store)
        assert (known["a0"], known["b99"], known["x"]) == ("a149", "b99", "a149")
        again = msgspec.structs.replace(too_many, id=uuid.uuid4())
        await plain_store.write([a_job(again)])
        assert counted() == refused + 2
        await chained(plain_store, 230, "c")
    known = await names(plain_store)
    assert Counter(person[0] for person in known.values()) == {"a": 151, "b": 100, "c": 230}
    assert max(Counter(known.values()).values()) <= 200
    await consistent(plain_store)


def counted() -> float:
    return metrics.names_not_linked.values.get({}) or 0


async def test_a_person_stored_before_there_was_a_limit_stays_as_they_are_and_grows_no_more(
    plain_store: PostgresStore,
) -> None:
    await chained(plain_store, 120, "n")
    await plain_store._pool.execute(
        "DELETE FROM identity_persons; UPDATE identity_links SET rank = NULL, person = 'n119'"
    )
    with patch.object(persons, "MAX_NAMES", 100):
        await plain_store.write([a_job(alias("more", "n119"), saying("n5", anonymous_id="d"))])
        known = await names(plain_store)
        assert {name for name in known if known[name] == "n119"} == {f"n{at}" for at in range(120)}
        assert "more" not in known or known["more"] == "more"
    await plain_store.write([a_job(alias("n119", "last"))])
    known = await names(plain_store)
    assert {known[name] for name in ("n0", "n119", "last")} == {"last"}
    await consistent(plain_store)


async def test_who_of_a_large_person_loses_a_device_falls_out_of_it(
    plain_store: PostgresStore,
) -> None:
    with few_names(3):
        devices = [saying("ada", 9, anonymous_id=f"d{at}") for at in range(8)]
        await plain_store.write(
            [a_job(*devices, alias("ben", "d3"), saying("ben", 2, anonymous_id="b"))]
        )
        known = await names(plain_store)
        assert known["b"] == known["d5"] == "ada"
        await plain_store.write([a_job(saying("cat", 20, anonymous_id="d3"))])
        known = await names(plain_store)
        assert (known["b"], known["d3"], known["d5"]) == ("cat", "cat", "ada")
        await consistent(plain_store)


async def test_what_takes_too_long_to_read_again_is_left_and_counted(
    plain_store: PostgresStore,
) -> None:
    with few_names(3), patch.object(persons, "MAX_READ", 10):
        await plain_store.write(
            [a_job(*(saying("ada", 9, anonymous_id=f"d{at}") for at in range(30)))]
        )
        before = counted()
        await plain_store.write([a_job(saying("cat", 20, anonymous_id="d3"))])
        assert (await names(plain_store))["d3"] == "ada"
        assert counted() == before + 1


async def test_so_many_names_are_read_again_for_all_persons_together(
    plain_store: PostgresStore,
) -> None:
    users = ("ada", "ben")
    with few_names(3), patch.object(persons, "MAX_READ", 10):
        claims = [saying(user, 9, anonymous_id=f"{user}{at}") for user in users for at in range(6)]
        await plain_store.write([a_job(*claims)])
        before = counted()
        await plain_store.write([a_job(*(saying("cat", 20, anonymous_id=f"{u}0") for u in users))])
        known = await names(plain_store)
        assert counted() == before + 1
        left = [user for user in users if known[f"{user}0"] == known[f"{user}1"]]
        assert len(left) == 1


async def test_a_person_of_few_names_and_very_many_aliases_is_not_read_again(
    plain_store: PostgresStore,
) -> None:
    known = [f"n{at}" for at in range(5)]
    with few_names(3), patch.object(persons, "MAX_READ", 10):
        said_often = [alias(one, other) for one in known for other in known if one != other]
        await plain_store.write([a_job(*said_often, saying("n0", 9, anonymous_id="d"))])
        before = counted()
        await plain_store.write([a_job(saying("cat", 20, anonymous_id="d"))])
        now = await names(plain_store)
        assert now["d"] == now["n0"]
        assert counted() == before + 1


async def test_where_there_is_no_room_for_all_what_is_linked_already_stays(
    plain_store: PostgresStore,
) -> None:
    with patch.object(persons, "MAX_NAMES", 3):
        await plain_store.write([a_job(alias("z", "y"))])
        await plain_store.write([a_job(alias("a", "b"), alias("b", "y"))])
        known = await names(plain_store)
        assert known["z"] == known["y"] == "y"
        assert known["a"] == known["b"] == "b"


async def test_a_name_of_a_large_person_that_becomes_a_users_may_name_the_person(
    plain_store: PostgresStore,
) -> None:
    circle = [alias("u1", "u2"), alias("u2", "u1"), saying("u1", 9, anonymous_id="a0")]
    more = alias("x", "a0")
    with few_names(2):
        await plain_store.write([a_job(*circle)])
        assert {*(await names(plain_store)).values()} == {"u1"}
        await plain_store.write([a_job(more)])
        assert await names(plain_store) == said([*circle, more])
        assert {*(await names(plain_store)).values()} == {"a0"}
        await consistent(plain_store)


async def test_who_of_a_large_person_first_claims_somebody_falls_out_of_it(
    plain_store: PostgresStore,
) -> None:
    """They are a user now, and a claim never merges two users."""
    claims = [saying("ada", 9, anonymous_id=name) for name in ("ben", "d0", "d1", "d2", "d3")]
    more = saying("ben", 5, anonymous_id="phone")
    with few_names(2):
        await plain_store.write([a_job(*claims)])
        assert {*(await names(plain_store)).values()} == {"ada"}
        await plain_store.write([a_job(more)])
        assert await names(plain_store) == said([*claims, more])
        await consistent(plain_store)


def test_the_name_of_a_large_person_is_chosen_in_a_few_looks_at_its_names() -> None:
    looks = 0

    class Names(list[str]):
        def __iter__(self) -> Iterator[str]:
            nonlocal looks
            looks += 1
            return super().__iter__()

    names = Names(f"n{number}" for number in range(2_000))
    links = {name: persons._Link(name, None) for name in names}
    persons._Plan(links, set()).group(names, {}, len(names))
    assert looks < 20  # once for each name would be thousands
