"""Identity: every question counts one person once, from rollups and raw rows alike; against the
oracle, in any order of arrival.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from analytics.events import Job
from analytics.queries.answers.fingerprint import fingerprint
from analytics.queries.database.identity import IdentityLinks, LinkCache, changes, person
from analytics.queries.database.snapshot import open_snapshot
from analytics.queries.language import parameters
from analytics.queries.questions.trends.trends import Trends
from analytics.stores.identity import persons as stored_persons
from analytics.stores.identity import splits
from analytics.stores.identity.links import take_turn
from tests.examples import examples
from tests.queries import (
    oracle,
    oracle_breakdown,
    oracle_funnel,
    oracle_lives,
    oracle_paths,
    oracle_retention,
    oracle_sessions,
    oracle_users,
)
from tests.queries.asker import WATERMARK, StillQueue
from tests.queries.oracle import Row, Trend
from tests.queries.oracle_breakdown import Breakdown
from tests.queries.oracle_funnel import Funnel
from tests.queries.oracle_identity import owned, persons
from tests.queries.oracle_paths import Paths
from tests.queries.oracle_retention import Retention
from tests.queries.questions import test_paths
from tests.queries.questions.funnel import test_funnel
from tests.queries.questions.retention import test_retention
from tests.queries.questions.test_sessions import passing
from tests.queries.questions.test_users import LIST, ONE, TIMELINE, pages, read
from tests.queries.questions.trends.test_trends import assert_same, equal
from tests.queries.simple import DAYS, one, row
from tests.queries.storing import Batches, Storer, batches, event, rows_of
from tests.queries.streams import questions, streams, written, written_field, written_filters

few = examples(15)


@pytest.fixture(scope="module", params=[2, 50], ids=["large persons", "small persons"])
def few_names(request: pytest.FixtureRequest) -> Iterator[None]:
    """Up to how many names a person is stored in the simple way."""
    with patch.object(stored_persons, "FEW_NAMES", request.param):
        yield


pytestmark = pytest.mark.usefixtures("rather_precomputed", "few_names")


async def store(storer: Storer, batches: Batches) -> None:
    """These rows and no others, and what they say of who is whom."""
    await storer.empty()
    for rows, compact in batches:
        await storer.write(rows)
        if compact:
            await storer.store.compact()
            await storer.ask("/trends", *DAYS, ("measure", "users"))


NAMES = st.sampled_from(["s", "t", "u", "v", "é", "w", ""])


@st.composite
def telling(draw: st.DrawFn, rows: list[Row]) -> list[Row]:
    """The same rows, some of which say who is whom."""
    new_rows = []
    for each in rows:
        metadata = dict(each.metadata)
        if draw(st.sampled_from([True, False, False])):
            metadata["$anonymous_id"] = draw(NAMES)
        type_ = draw(st.sampled_from([each.event_type, each.event_type, each.event_type, "alias"]))
        if type_ == "alias":
            metadata["$previous_id"] = draw(NAMES)
        new_rows.append(replace(each, metadata=metadata, event_type=type_))
    return new_rows


@st.composite
def cases(draw: st.DrawFn) -> tuple[Trend, Batches]:
    asked = draw(questions())
    if draw(st.booleans()):  # what rollups can answer
        asked = replace(
            asked, where=(), by=draw(st.none() | st.just(("event_type",))), measure=("users", None)
        )
    return asked, draw(batches(draw(telling(draw(streams(asked, draw(st.sampled_from([0, 20]))))))))


@few
@given(case=cases())
async def test_trends_count_persons(storer: Storer, case: tuple[Trend, Batches]) -> None:
    asked, stored = case
    await store(storer, stored)
    answer = await storer.ask("/trends", *written(asked))
    assert_same(answer["data"], oracle.trends(owned(rows_of(stored)), asked), asked)


@few
@given(case=cases(), limit=st.integers(1, 4))
async def test_all_that_is_said_of_people_is_said_of_persons(
    storer: Storer, case: tuple[Trend, Batches], limit: int
) -> None:
    asked, stored = case
    asked = replace(asked, by=None, compare=False, rolling=4)
    await store(storer, stored)
    rows = passing(owned(rows_of(stored)), asked)
    parameters = written_filters(asked)
    shape = (asked.start, asked.end, asked.interval, asked.zone)

    answer = await storer.ask("/lifecycle", *parameters, ("interval", asked.interval))
    lifecycle = answer["data"] | {
        "times": [datetime.fromisoformat(time) for time in answer["data"]["times"]]
    }
    assert lifecycle == oracle_lives.lifecycle(rows, *shape)
    answer = await storer.ask("/stickiness", *parameters, ("interval", asked.interval))
    assert answer["data"] == oracle_lives.stickiness(rows, *shape)
    answer = await storer.ask("/sessions", *parameters, ("interval", asked.interval))
    expected = oracle_sessions.sessions(rows, *shape)
    assert all(
        equal(answer["data"][name], expected[name])
        for name in ("sessions", "users", "bounce_rate", "avg_s", "median_s")
    )

    there = [row for row in rows if asked.start <= row.timestamp < asked.end]
    everybody = oracle_users.users(there)
    known = persons(rows_of(stored))
    linked = {person for name, person in known.items() if name != person}
    for user in everybody:
        user["user_id"] = user["id"] if user["id"] in linked else user["user_id"]
    assert [read(user) for user in await pages(storer, LIST, *parameters, limit=limit)] == everybody
    for name in ("s", "u", "é"):
        who = known.get(name, name)
        data = (await storer.ask(ONE, *parameters, id=name))["data"]["rows"]
        assert [read(user) for user in data] == [user for user in everybody if user["id"] == who]
        timeline = await pages(storer, TIMELINE, *parameters, limit=limit, id=name)
        assert [event["id"] for event in timeline] == [
            str(row.id) for row in oracle_users.timeline(there, who)
        ]


@st.composite
def stored(draw: st.DrawFn, rows: list[Row]) -> Batches:
    return draw(batches(draw(telling(rows))))


@few
@given(case=test_funnel.cases().flatmap(lambda case: st.tuples(st.just(case[0]), stored(case[1]))))
async def test_a_funnel_is_taken_by_persons(storer: Storer, case: tuple[Funnel, Batches]) -> None:
    asked, rows = case
    await store(storer, rows)
    answer = (await storer.ask("/funnel", *test_funnel.written(asked)))["data"]
    expected = oracle_funnel.funnel(owned(rows_of(rows)), asked)
    assert list(map(test_funnel.step, answer["steps"])) == test_funnel.plain(expected["steps"])
    assert [list(map(test_funnel.step, group["steps"])) for group in answer["groups"]] == [
        test_funnel.plain(steps) for _, steps in expected["groups"]
    ]


@few
@given(case=test_paths.cases().flatmap(lambda case: st.tuples(st.just(case[0]), stored(case[1]))))
async def test_paths_are_those_of_persons(storer: Storer, case: tuple[Paths, Batches]) -> None:
    asked, rows = case
    await store(storer, rows)
    assert test_paths.links(
        await storer.ask("/paths", *test_paths.written(asked))
    ) == oracle_paths.paths(owned(rows_of(rows)), asked)


@few
@given(
    case=test_retention.cases().flatmap(lambda case: st.tuples(st.just(case[0]), stored(case[1]))),
    plain=st.booleans(),
)
async def test_persons_come_back(
    storer: Storer, case: tuple[Retention, Batches], plain: bool
) -> None:
    asked, rows = case
    asked = replace(asked, where=()) if plain else asked
    await store(storer, rows)
    answer = await storer.ask("/retention", *test_retention.written(asked))
    cohorts = [
        oracle_retention.Cohort(date.fromisoformat(one["start"]), one["counts"])
        for one in answer["data"]["cohorts"]
    ]
    assert cohorts == oracle_retention.retention(owned(rows_of(rows)), asked, WATERMARK)
    assert answer["meta"]["source"] == "rollup" or asked.where


@few
@given(case=cases())
async def test_breakdowns_count_persons(storer: Storer, case: tuple[Trend, Batches]) -> None:
    asked, rows = case
    by = asked.by or ("event_type",)
    await store(storer, rows)
    answer = await storer.ask(
        "/breakdown", *written_filters(asked), ("by", written_field(by)), ("measure", "users,count")
    )
    wanted = Breakdown(
        asked.start,
        asked.end,
        (by,),
        (("users", None), ("count", None)),
        asked.pairs,
        asked.where,
        10,
        None,
    )
    assert (answer["data"]["rows"], answer["data"]["total_rows"]) == oracle_breakdown.breakdown(
        owned(rows_of(rows)), wanted
    )


# the sentences


LOGIN = {"$anonymous_id": "cookie"}


async def users(storer: Storer) -> Any:
    return (await one(storer, ("measure", "users")))["total"]


async def test_who_logs_in_is_one_person_before_and_after_and_on_the_next_visit(
    storer: Storer,
) -> None:
    before, login = (
        row("2026-11-02", None, "cookie"),
        row("2026-11-03", "ada", "s2", "identify:identify", **LOGIN),
    )
    await store(storer, [([before], True), ([row("2026-11-03T10:00", "bob", "s3")], True)])
    assert await users(storer) == 2
    await storer.write([login])
    assert await users(storer) == 2
    await storer.write([row("2026-11-04", None, "cookie")])
    assert await users(storer) == 2
    (user,) = (await storer.ask(ONE, *DAYS, id="cookie"))["data"]["rows"]
    assert (user["id"], user["user_id"], user["events"]) == ("ada", "ada", 3)


async def test_a_shared_session_links_nobody(storer: Storer) -> None:
    await store(
        storer,
        [
            (
                [
                    row("2026-11-02", None, "s"),
                    row("2026-11-03", "ada", "s"),
                    row("2026-11-03", "bob", "s"),
                ],
                False,
            )
        ],
    )
    assert await users(storer) == 3


async def test_a_shared_device_is_that_of_whom_logged_in_first_and_joins_no_two_users(
    storer: Storer,
) -> None:
    await store(
        storer,
        [
            ([row("2026-11-03", "bob", "s", **LOGIN)], False),
            ([row("2026-11-02", None, "cookie")], False),
        ],
    )
    assert (await storer.ask(ONE, *DAYS, id="cookie"))["data"]["rows"][0]["id"] == "bob"
    await storer.write([row("2026-11-02T10:00", "ada", "s", **LOGIN)])
    assert (await storer.ask(ONE, *DAYS, id="cookie"))["data"]["rows"][0]["id"] == "ada"
    assert (await storer.ask(ONE, *DAYS, id="bob"))["data"]["rows"][0]["events"] == 1
    assert await users(storer) == 2


async def test_an_alias_joins_two_users(storer: Storer) -> None:
    rows = [
        row("2026-11-02", "old", "s"),
        row("2026-11-03", "new", "s"),
        row("2026-11-03", "new", "s", "alias:alias", **{"$previous_id": "old"}),
    ]
    await store(storer, [(rows, True)])
    assert await users(storer) == 1
    assert [user["id"] for user in (await storer.ask(LIST, *DAYS))["data"]["rows"]] == ["new"]


@pytest.mark.parametrize("ignored_first", [True, False])
async def test_whose_claim_is_ignored_is_said_the_same_in_any_order_of_arrival(
    storer: Storer, ignored_first: bool
) -> None:
    """Ada claims a name that turns out to be another user's; here she is known by a session."""
    ignored = row("2026-11-02", "ada", "s", **{"$anonymous_id": "ben"})
    claim = row("2026-11-03", "ben", "s", **{"$anonymous_id": "phone"})
    here = row("2026-11-04", None, "ada")
    await store(storer, [([here], False)])
    for claiming in (ignored, claim) if ignored_first else (claim, ignored):
        await storer.write([claiming])
    (user,) = (await storer.ask(ONE, ("from", "2026-11-04"), *DAYS[1:], id="ada"))["data"]["rows"]
    assert (user["id"], user["user_id"]) == ("ada", None)


async def test_a_link_makes_one_session_of_what_two_did_that_tell_none(storer: Storer) -> None:
    phone, laptop = (
        row("2026-11-02T10:00", None, "cookie", "page:view"),
        row("2026-11-02T10:20", "ada", "$none"),
    )
    await store(storer, [([replace(phone, user_id="cookie", session_id="$none"), laptop], False)])
    assert [
        (await storer.ask("/sessions", *DAYS))["data"][name]
        for name in ("sessions", "users", "avg_s")
    ] == [2, 2, 0]
    await storer.write([row("2026-11-04", "ada", "s", **LOGIN)])
    assert [
        (await storer.ask("/sessions", *DAYS))["data"][name]
        for name in ("sessions", "users", "avg_s")
    ] == [2, 1, 600]
    assert (await one(storer, ("measure", "sessions"), ("where", "session_id.eq.$none")))[
        "total"
    ] == 1


async def test_names_that_were_split_are_counted_apart_at_once(storer: Storer) -> None:
    rows = [
        row("2026-11-02", None, "phone"),
        row("2026-11-03", "ada", "s", **{"$anonymous_id": "phone"}),
        row("2026-11-03", "ben", "s", "alias:alias", **{"$previous_id": "ada"}),
    ]
    await store(storer, [(rows, True)])
    assert [user["id"] for user in (await storer.ask(LIST, *DAYS))["data"]["rows"]] == ["ben"]
    for name in ("phone", "ada", "ben"):
        data = (await storer.ask(ONE, *DAYS, id=name))["data"]["rows"]
        assert [(user["id"], user["events"]) for user in data] == [("ben", 3)]
        assert len(await pages(storer, TIMELINE, *DAYS, limit=5, id=name)) == 3
    async with storer.connection.transaction():
        version = await take_turn(storer.connection, "default")
        await splits.split(storer.connection, "default", version, "ben", "ada")
    assert await users(storer) == 2
    listed = (await storer.ask(LIST, *DAYS))["data"]["rows"]
    assert [(user["id"], user["events"]) for user in listed] == [("ada", 2), ("ben", 1)]


async def test_links_are_of_one_project(storer: Storer) -> None:
    rows = [row("2026-11-02", None, "cookie"), row("2026-11-03", "ada", "s", **LOGIN)]
    await store(storer, [(rows[:1], False)])
    shop = [msgspec.structs.replace(event(each), project="shop") for each in rows]
    await storer.store.write([Job("shop.1", shop)])
    assert await users(storer) == 1
    assert (await one(storer, ("measure", "users"), ("project", "shop")))["total"] == 1
    assert (await storer.ask(LIST, *DAYS))["data"]["rows"][0]["id"] == "cookie"


async def test_another_projects_persons_of_the_same_names_change_nothing(storer: Storer) -> None:
    rows = [
        row("2026-11-02", None, "cookie"),
        row("2026-11-03", "ada", "s", **LOGIN),
        row("2026-11-03", "ben", "s", "alias:alias", **{"$previous_id": "ada"}),
        row("2026-11-04", None, "other"),
    ]
    await store(storer, [(rows, True)])

    async def said() -> list[Any]:
        asked = ((LIST, {}), *((ONE, {"id": name}) for name in ("cookie", "ada", "ben", "other")))
        return [(await storer.ask(path, *DAYS, **id_))["data"] for path, id_ in asked]  # type: ignore[arg-type]

    before = await said()
    assert [user["id"] for user in before[0]["rows"]] == ["other", "ben"]
    for copied in (
        "identity_links select 'shop', actor, person, number, person_number, version, rank",
        "identity_persons select 'shop', person, 'stranger', names",
    ):
        table = copied.split()[0]
        await storer.connection.execute(f"insert into {copied} from {table}")
    await storer.connection.execute(
        "insert into identity_links (project, actor, person, number, person_number, version)"
        " select 'shop', 'other', person, 99, person_number, version"
        " from identity_links where project = 'shop' and actor = 'ada'"
    )
    assert await said() == before
    async with open_snapshot(storer.engine, StillQueue()) as snapshot:  # type: ignore[arg-type]
        for name in ("cookie", "ada", "ben"):
            assert [*await snapshot.rows(person("default", name))] == [("ben",)]


async def test_what_is_known_of_links_follows_every_snapshot(storer: Storer) -> None:
    """Also one that is older than what is known already."""
    cache = LinkCache()
    sent: list[str] = []

    async def rows_of_snapshot(version: int, changes: dict[int, int]) -> IdentityLinks:
        async def rows(statement: Any) -> list[Any]:
            sent.append(str(statement))
            return [SimpleNamespace(numbers=[*changes], persons=[*changes.values()])]

        return await cache.links("p", version, rows)

    first = await rows_of_snapshot(1, {1: 2})
    assert first.united(BitMap([1, 2, 3])) == BitMap([2, 3])
    later = await rows_of_snapshot(2, {1: 1, 3: 2})
    assert later.united(BitMap([1, 2, 3])) == BitMap([1, 2])
    behind = await rows_of_snapshot(1, {1: 2})
    assert behind.united(BitMap([1, 3])) == BitMap([2, 3])
    assert len(sent) == 3
    assert await rows_of_snapshot(2, {}) is later
    assert len(sent) == 3


async def test_however_many_links_are_read_as_one_row(storer: Storer) -> None:
    await storer.empty()

    async def links(since: int) -> list[tuple[int, int]]:
        async with open_snapshot(storer.engine, StillQueue()) as snapshot:  # type: ignore[arg-type]
            (found,) = await snapshot.rows(changes("default", since))
        return sorted(zip(found.numbers, found.persons, strict=True))

    assert await links(0) == []
    claims = [row("2026-11-03", "ada", "s", **{"$anonymous_id": f"c{at}"}) for at in range(50)]
    await store(storer, [(claims, False)])
    stored = await storer.connection.fetch("select number, person_number from identity_links")
    assert await links(0) == sorted(map(tuple, stored))
    assert len(stored) > 50
    version = await storer.connection.fetchval("select version from identity_versions")
    assert await links(version) == []


async def test_a_link_from_outside_of_what_is_looked_at_changes_the_fingerprint_of_an_answer(
    storer: Storer,
) -> None:
    asked = parameters.read(
        Trends, b"from=2026-11-02&to=2026-11-03", {}, now=WATERMARK, project="default"
    )

    async def state() -> bytes:
        async with open_snapshot(storer.engine, StillQueue()) as read:  # type: ignore[arg-type]
            return await fingerprint(asked, read)

    await store(storer, [([row("2026-11-02", None, "cookie"), row("2026-11-02", "ada")], True)])
    before = await state()
    await storer.write([row("2026-11-20", "ada")])
    assert await state() == before
    await storer.write([row("2026-11-20", "ada", **LOGIN)])
    assert await state() != before
