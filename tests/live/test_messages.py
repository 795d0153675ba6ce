"""The bus's messages: events in chunks of bounded size, and what a listener reads."""

import pytest

from analytics.events import pack
from analytics.live.messages import EVENT_OVERHEAD_BYTES, MESSAGE_BYTES, chunks, parse
from tests.live.kit import make_events

HALF = MESSAGE_BYTES // 2 - EVENT_OVERHEAD_BYTES


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        ([], []),
        ([2], [1]),
        ([HALF, HALF], [2]),
        ([HALF, HALF, 2], [2, 1]),
        ([HALF, HALF - 1, 2], [3]),
        ([MESSAGE_BYTES * 3, 2, MESSAGE_BYTES], [1, 2]),
    ],
)
def test_a_chunk_ends_with_the_event_that_fills_it(sizes: list[int], lengths: list[int]) -> None:
    events = [event for size in sizes for event in make_events(1, metadata=b"x" * size)]
    made = list(chunks(events))
    assert [len(chunk) for chunk in made] == lengths
    assert [event for chunk in made for event in chunk] == events


def test_a_message_is_the_total_and_the_events() -> None:
    events = make_events(2, metadata=b'{"a": "::"}')
    assert parse(b"9007199254740993:" + pack(events)) == (9_007_199_254_740_993, events)
    assert parse(b"7:") == (7, [])


def test_of_a_message_of_another_release_the_total_is_known_all_the_same() -> None:
    assert parse(b"7:\xc1") == (7, [])
    assert parse(b"7:" + pack(make_events(1))[:-1]) == (7, [])
