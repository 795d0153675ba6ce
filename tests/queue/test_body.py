"""The bytes of a job: read as they were written, and refused when they are not ours."""

import msgspec

from analytics.queue import body


def test_a_body_for_another_function_keeps_its_arguments() -> None:
    encoded = msgspec.msgpack.encode({"t": None, "f": "other", "a": [1], "k": {"x": 2}, "et": 1})
    assert body.read(encoded) == {"t": None, "f": "other", "a": [1], "k": {"x": 2}, "et": 1}
