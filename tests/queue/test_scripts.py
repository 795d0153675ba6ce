"""The scripts: each does all of its work or none, and once."""

from redis.asyncio import Redis

from analytics.events import Books, pack
from analytics.queue import Queue, body, scripts
from tests.queue.kit import enqueue, events
from tests.waiting import until


def test_a_job_id_tells_its_events_and_a_foreign_one_none() -> None:
    assert scripts.count_events(scripts.job_id(4711)) == 4711
    assert [scripts.count_events(foreign) for foreign in ("", "abc", "abc.", "abc.-3", "12")] == [
        0,
        0,
        0,
        0,
        12,
    ]


def test_a_job_id_names_the_projects_of_its_events_unless_they_are_too_many() -> None:
    one, two = scripts.job_id(7, ["a.b-c_5"]), scripts.job_id(7, ["b", "a", "b"])
    assert (scripts.count_events(one), scripts.count_events(two)) == (7, 7)
    assert one.endswith(".a.b-c_5.7")
    assert two.endswith(".a+b.7")
    asked = ("a.b-c_5", "a", "b", "5", "")
    assert [scripts.may_concern(one, project) for project in asked] == [True] + [False] * 4
    assert [scripts.may_concern(two, project) for project in asked] == [
        False, True, True, False, False,
    ]  # fmt: skip
    many = scripts.job_id(7, map(str, range(1000)))
    for unnamed in (scripts.job_id(7), many, "0123.7"):
        assert scripts.may_concern(unnamed, "any")
    assert not scripts.is_alone(one)
    assert scripts.is_alone(scripts.job_id(1, ["a"], alone=True))
    assert scripts.is_alone(scripts.job_id(1, alone=True))


def test_job_ids_sort_by_time_and_never_repeat() -> None:
    ids = [scripts.job_id(1) for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [one[:12] for one in ids] == sorted(one[:12] for one in ids)


async def test_the_same_job_enqueued_again_changes_nothing(queue: Queue, redis: Redis) -> None:
    arguments = ("", 1, scripts.job_id(3), 3, body.write(pack(events(3))))
    assert [await scripts.ENQUEUE.run(redis, *arguments) for _ in range(3)] == 3 * [[3, None]]
    assert await queue.books() == Books(accepted=3, queued=3)
    assert (await queue.depth()).jobs == 1


async def test_a_claim_that_another_holds_by_now_is_not_given_back(redis: Redis) -> None:
    job_id = await enqueue(redis, events(1))
    await scripts.CLAIM.run(redis, "first", 1, 10, 1000, 100, 999, 999)

    async def the_claim_ended() -> bool:
        return not await redis.exists(scripts.IN_PROGRESS + job_id)

    await until(the_claim_ended)
    await scripts.CLAIM.run(redis, "second", 60_000, 10, 1000, 100, 999, 999)
    await scripts.RELEASE.run(redis, "first", job_id, 0)
    assert await redis.get(scripts.IN_PROGRESS + job_id) == b"second"
    assert await scripts.CLAIM.run(redis, "third", 60_000, 10, 1000, 100, 999, 999) == []


async def test_settling_again_changes_nothing(queue: Queue, redis: Redis) -> None:
    job_id = await enqueue(redis, events(4))
    assert [await scripts.SETTLE.run(redis, job_id, 2, 1, 1, "") for _ in range(3)] == [4, 0, 0]
    assert await queue.books() == Books(accepted=4, stored=2, duplicate=1, dead_lettered=1)
