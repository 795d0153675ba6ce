"""Ids for events without one: UUIDv7, so that the store has them in order of arrival."""

import secrets
from datetime import datetime
from uuid import UUID

import msgspec

from analytics.protocols.clock import EPOCH

_decoder = msgspec.msgpack.Decoder(list[UUID])


def uuid7s(count: int, at: datetime) -> list[UUID]:
    """`count` new ids of the millisecond `at`, ascending by one from a random start.

    By method 2 of RFC 9562, section 6.2, with 73 random bits. They are written as one msgpack
    array and decoded in C, six times as fast as calling UUID for each.
    """
    elapsed = at - EPOCH
    milliseconds = elapsed.days * 86_400_000 + elapsed.seconds * 1000 + elapsed.microseconds // 1000
    noise = secrets.randbits(73)
    # version 7 and the first 12 random bits; then the variant and the other 61
    head = b"\xc4\x10" + (milliseconds << 16 | 7 << 12 | noise >> 61).to_bytes(8, "big")
    first = 2 << 62 | noise & (1 << 61) - 1
    return _decoder.decode(
        b"\xdd"
        + count.to_bytes(4, "big")
        + b"".join([head + (first + i).to_bytes(8, "big") for i in range(count)])
    )
