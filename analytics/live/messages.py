"""The bus's messages: their channels, the count that numbers them, and how both change in one step."""

from collections.abc import Iterator, Sequence

import msgspec

from analytics.events import Event, unpack

CHANNEL = "analytics:live:"
"""Channels, one a project. A message is `TOTAL:` and packed events; TOTAL counts these and all
earlier ones of the project.
"""

COUNTS = "analytics:live:counts"
"""Hash: project → events stored ever, changed in one step with each message. It serves only to find
gaps.
"""

MESSAGE_BYTES = 500_000

PUBLISH = """
local listening = redis.call('PUBSUB', 'NUMSUB', ARGV[2])[2]
if listening > 0 and ARGV[4] == '' then return -1 end
local total = redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[3])
if listening > 0 then redis.call('PUBLISH', ARGV[2], string.format('%.0f:', total) .. ARGV[4]) end
return total
"""
"""Count events and publish them in one step, so that the messages of a channel follow each other
without a seam. Called without payload while somebody listens, it does nothing and answers -1: what
nobody reads is never sent to Redis.
"""

ANNOUNCE = (
    "return redis.call('PUBLISH', ARGV[2], (redis.call('HGET', KEYS[1], ARGV[1]) or '0') .. ':')"
)
"""Publish the total alone: in the channel's own order, it tells a new listener where it begins and
an old one what it missed.
"""


def chunks(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events in runs of about MESSAGE_BYTES: Redis drops a listener whose backlog is too large."""
    chunk: list[Event] = []
    size = 0
    for event in events:
        chunk.append(event)
        size += len(event.metadata) + 200
        if size >= MESSAGE_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def parse(message: bytes) -> tuple[int, list[Event]]:
    """The total and the events; no events when another release wrote them in a form unknown here,
    which then count as missed.
    """
    total, _, payload = message.partition(b":")
    try:
        return int(total), unpack(payload) if payload else []
    except msgspec.DecodeError:
        return int(total), []
