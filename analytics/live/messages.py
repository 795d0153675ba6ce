"""The bus's messages, their channels, and the count that numbers them."""

from collections.abc import Iterator, Sequence

import msgspec

from analytics.events import Event, unpack

CHANNEL = "analytics:live:"
"""Prefix of the channels, one a project.

A message is `TOTAL:` and packed events. TOTAL counts these and all earlier events of the project.
"""

COUNTS = "analytics:live:counts"
"""Hash: project → events stored ever. It changes in one step with each message, to find gaps."""

MESSAGE_BYTES = 500_000
EVENT_OVERHEAD_BYTES = 200
"""The size of an event without its metadata, roughly."""

PUBLISH = """
local listening = redis.call('PUBSUB', 'NUMSUB', ARGV[2])[2]
if listening > 0 and ARGV[4] == '' then return -1 end
local total = redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[3])
if listening > 0 then redis.call('PUBLISH', ARGV[2], string.format('%.0f:', total) .. ARGV[4]) end
return total
"""
"""Count events and publish them in one step, so the totals of successive messages have no gap.

Arguments: project, channel, number of events, payload. Returns the total. Without a payload while
somebody listens it does nothing and returns -1: the caller then sends the events, which are never
sent to Redis while nobody listens.
"""

ANNOUNCE = (
    "return redis.call('PUBLISH', ARGV[2], (redis.call('HGET', KEYS[1], ARGV[1]) or '0') .. ':')"
)
"""Publish the total without events.

It takes its place among the channel's messages. So it tells a new listener where it begins, and an
old listener how many events it missed.
"""


def chunks(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events in chunks of about MESSAGE_BYTES: Redis drops a listener with a large backlog."""
    chunk: list[Event] = []
    size = 0
    for event in events:
        chunk.append(event)
        size += len(event.metadata) + EVENT_OVERHEAD_BYTES
        if size >= MESSAGE_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def parse(message: bytes) -> tuple[int, list[Event]]:
    """The total and the events of a message.

    No events when another release wrote them in a format unknown here; they then count as missed.
    """
    total, _, payload = message.partition(b":")
    try:
        return int(total), unpack(payload) if payload else []
    except msgspec.DecodeError:
        return int(total), []
