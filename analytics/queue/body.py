"""The body of a job as arq reads it: msgpack of t (try), f (function), a (arguments), k (keywords)
and et (enqueued at, ms).
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from analytics.events import Event, unpack

STORE = "store"
"""The function of our jobs. A body with another meaning gets another name: a processor that does
not know it dead-letters the job.
"""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, Any])


class Payload(msgspec.Struct, frozen=True):
    """What a `store` job carries; its repr is short because arq takes the repr of every argument."""

    events: list[Event]
    replays: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"<{len(self.events)} events>"


def write(packed: bytes, replays: Sequence[int] = ()) -> bytes:
    """A body from `events.pack`'s bytes and the dead letters that the job tries again."""
    arguments = [packed, list(replays)] if replays else [packed]
    return _encoder.encode(
        {"t": None, "f": STORE, "a": arguments, "k": {}, "et": time.time_ns() // 1_000_000}
    )


def read(body: bytes) -> dict[str, Any]:
    """The inverse, with a Payload as the only argument. A body for another function keeps its own;
    raises ValueError on anything unreadable.
    """
    raw = _decoder.decode(body)
    if raw.get("f") != STORE:
        return raw
    match raw:
        case {"k": {**keywords}} if keywords:
            raise ValueError("a store job has no keyword arguments")
        case {"a": [bytes() as packed], "k": {}}:
            payload = Payload(unpack(packed))
        case {"a": [bytes() as packed, list() as numbers], "k": {}}:
            payload = Payload(unpack(packed), msgspec.convert(numbers, tuple[int, ...]))
        case _:
            raise ValueError("the arguments are not those of a store job")
    return {**raw, "a": [payload]}
