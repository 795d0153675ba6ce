"""The bytes of a job: read as they were written, and refused when they are not ours."""

from typing import Any

import msgspec
import pytest

from analytics.events import pack
from analytics.queue import body
from tests.queue.kit import events


def test_a_body_for_another_function_keeps_its_arguments() -> None:
    encoded = msgspec.msgpack.encode({"t": None, "f": "other", "a": [1], "k": {"x": 2}, "et": 1})
    assert body.read(encoded) == {"t": None, "f": "other", "a": [1], "k": {"x": 2}, "et": 1}


def test_a_job_comes_back_with_its_events_and_the_dead_letters_that_it_replays() -> None:
    sent = events(2)
    for replays in ((), (7, 2**40)):
        job = body.read(body.write(pack(sent), replays))
        assert (job["f"], job["a"], job["k"]) == ("store", [body.Payload(sent, replays)], {})


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ([], {}),
        (["text"], {}),
        ([pack([])], {"more": 1}),
        ([pack([]), 7], {}),
        ([pack([]), ["7"]], {}),
        ([pack([]), [], []], {}),
        ([b"\xc1"], {}),
    ],
)
def test_a_store_job_with_other_arguments_is_unreadable(
    arguments: list[Any], keywords: dict[str, Any]
) -> None:
    fields = {"t": None, "f": "store", "a": arguments, "k": keywords, "et": 1}
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec's errors and ours are both of this kind
        body.read(msgspec.msgpack.encode(fields))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x01", msgspec.msgpack.encode([1])])
def test_what_is_no_map_is_unreadable(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec's errors are of this kind
        body.read(data)
