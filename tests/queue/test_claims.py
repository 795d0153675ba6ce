"""What a processor holds of the queue, and how much more it may take."""

import pytest

from analytics.queue import claims, pace
from analytics.queue.claims import Claim, Claims, Room


def held(*job_ids: str) -> Claims:
    jobs = Claims()
    for job_id in job_ids:
        jobs.add(job_id, Claim(deadline=60.0, size_bytes=1_000))
    return jobs


def nobody(_: str) -> bool:
    return False


def test_the_room_is_what_the_jobs_in_work_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MAX_TRANSACTION_EVENTS", 10)
    monkeypatch.setattr(claims, "MAX_CLAIMED_BYTES", 5_000)
    assert held("a.3", "b.400").room(nobody) == Room(claims.MAX_JOBS - 2, 7, 3_000)
    assert held("a.10", "b.400").room(nobody) is None


def test_suspects_leave_all_room_to_the_others() -> None:
    assert held("a.400", "b.400").room(lambda _: True) == held().room(nobody)


def test_a_job_that_is_not_settled_is_given_back_after_its_pause() -> None:
    jobs = held("settled.1", "failed.1", "ended.1")
    jobs.settle(["settled.1", "another's.1"])
    jobs.retry("settled.1", 1.0)
    jobs.retry("failed.1", 2.0)
    for job_id in ("settled.1", "failed.1", "ended.1"):
        jobs.end(job_id, 3.0)
        assert job_id not in jobs
    assert jobs.to_give_back() == {"failed.1": 2.0, "ended.1": 3.0}
    jobs.given_back(["failed.1"])
    assert jobs.to_give_back() == {"ended.1": 3.0}


def test_a_job_that_is_settled_while_it_is_given_back_takes_no_other_with_it() -> None:
    """A stopping worker cancels what is in work, and may be told of a commit all the same."""
    jobs = held("settled.1", "failed.1")
    for job_id in ("settled.1", "failed.1"):
        jobs.retry(job_id, 1.0)
    given = jobs.to_give_back()
    jobs.settle(["settled.1"])
    jobs.end("settled.1", 3.0)
    jobs.given_back(given)
    assert jobs.to_give_back() == {}


def test_no_more_jobs_are_in_work_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MAX_JOBS", 2)
    assert held("a.1").room(nobody) is not None
    assert held("a.1", "b.1").room(nobody) is None
