"""Rate limits."""

import pytest

from analytics.errors import RateLimited
from analytics.roles.collector import limits
from analytics.roles.collector.limits import Limits


class Clock:
    """A clock that only the test moves, in seconds."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def allowed(bucket: Limits, name: str, times: int) -> int:
    """How many of `times` requests at once are allowed."""
    count = 0
    for _ in range(times):
        try:
            bucket.take(name)
        except RateLimited:
            continue
        count += 1
    return count


@pytest.mark.parametrize("rate", [1, 3, 7, 100, 1000])
def test_a_second_of_requests_passes_at_once_and_then_as_many_each_second(rate: int) -> None:
    clock = Clock()
    bucket = Limits(rate, now=clock)
    assert allowed(bucket, "a", rate * 3) == rate
    for _ in range(5):
        clock.time += 1
        assert allowed(bucket, "a", rate * 3) == rate
    clock.time += 0.5
    assert allowed(bucket, "a", rate * 3) == rate // 2
    clock.time += 1000
    assert allowed(bucket, "a", rate * 3) == rate


def test_names_do_not_share_their_limit() -> None:
    bucket = Limits(2, now=Clock())
    assert allowed(bucket, "a", 5) == allowed(bucket, "b", 5) == 2


def test_a_refusal_says_when_to_come_back() -> None:
    clock = Clock()
    bucket = Limits(1, now=clock)
    bucket.take("a")
    with pytest.raises(RateLimited) as refused:
        bucket.take("a")
    clock.time += refused.value.retry_after
    bucket.take("a")


def test_zero_is_no_limit() -> None:
    assert allowed(Limits(0), "a", 10_000) == 10_000


def test_names_without_number_take_bounded_memory_and_the_busy_stay_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAX_BUCKETS", 100)
    clock = Clock()
    bucket = Limits(1, now=clock)
    bucket.take("busy")
    for number in range(1000):
        bucket.take(f"address {number}")
        assert allowed(bucket, "busy", 1) == 0
    assert len(bucket._full_at) <= 100
