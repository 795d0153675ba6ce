"""The bytes of a job, as arq reads them.

Msgpack of a map: t (try), f (function), a (arguments), k (keyword arguments), et (enqueued at, ms).
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from analytics.events import Event, unpack

STORE = "store"
"""The function of our jobs.

A body with another meaning must name another function: a processor that does not know the function
dead-letters the job.
"""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, Any])


class Payload(msgspec.Struct, frozen=True):
    """The argument of a `store` job: its events, and the dead letters that it replays.

    The repr is short because arq calls it for every argument.
    """

    events: list[Event]
    replays: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"<{len(self.events)} events>"


def write(packed: bytes, replays: Sequence[int] = ()) -> bytes:
    """A body from the bytes of `events.pack` and the dead letters that the job replays."""
    arguments = [packed, list(replays)] if replays else [packed]
    return _encoder.encode(
        {"t": None, "f": STORE, "a": arguments, "k": {}, "et": time.time_ns() // 1_000_000}
    )


def read(body: bytes) -> dict[str, Any]:
    """The inverse of `write`, with a Payload as the only argument.

    A body for another function keeps its arguments. Raises ValueError on anything unreadable.
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
