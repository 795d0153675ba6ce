"""What `make soak` calls flat."""

import pytest

from tests.faults.soak import LIMITS

FILLING = [10.0, 30.0, 60.0, 90.0]


@pytest.mark.parametrize(
    ("samples", "grew"),
    [
        ([*FILLING, *[100.0] * 12], False),
        ([*FILLING, *[100.0, 101.0, 99.0, 140.0] * 3], False),
        ([float(n) * 10 for n in range(16)], True),
        ([*FILLING, *[100.0] * 8, *[124.0] * 4], True),
    ],
    ids=["a start that fills caches", "one peak", "a steady leak", "a step that stays"],
)
def test_memory_is_flat_or_has_grown(samples: list[float], grew: bool) -> None:
    assert LIMITS["memory"].grew(samples)[2] is grew


def test_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="run for longer"):
        LIMITS["memory"].grew([1.0] * 7)


def test_one_partition_more_is_growth() -> None:
    assert LIMITS["partitions"].grew([3.0] * 12 + [4.0] * 4)[2]
