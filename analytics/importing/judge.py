"""Lines → events, by the rules of /collect."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from analytics.errors import BadRequest, TooLarge
from analytics.events import Event
from analytics.importing import times
from analytics.importing.lines import Flaw, InputLine
from analytics.importing.mapping import PLAIN, Mapping
from analytics.protocols import metadata, native, validate
from analytics.protocols.clock import Clock
from analytics.protocols.protocol import MAX_EVENT_BYTES, Decoded, EventError, Rejection

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Judgement(NamedTuple):
    """The valid events of a batch of lines, and the lines that were refused."""

    events: list[Event]
    """Each has an id that is the same in every import."""
    rejected: list[tuple[InputLine, Flaw]]
    found: set[str]
    """The mapped fields that a line has."""


def link(chain: bytes, line: InputLine) -> bytes:
    """The digest of all lines up to this one, from the digest up to the line before.

    It becomes the id of an event without one. The same line is then the same event when it is read
    again: after an interruption, compressed or not, and after the file has grown.
    """
    return hashlib.sha256(chain + line.raw.rstrip(b"\r\n")).digest()


def judge(
    lines: Sequence[InputLine],
    chain: Sequence[bytes],
    received: datetime,
    project: str,
    retention_days: int,
    mapping: Mapping = PLAIN,
    max_event_bytes: int = MAX_EVENT_BYTES,
) -> Judgement:
    """Judge each line; `chain` has, for each line, the digest of all lines up to it."""
    sound = [index for index, line in enumerate(lines) if line.flaw is None]
    texts = [lines[index].text for index in sound]
    found: set[str] = set()
    decoded = _decode(texts, received, project, retention_days, mapping, max_event_bytes, found)
    refused = {
        sound[rejection.index]: Flaw(rejection.code, rejection.field, rejection.message)
        for rejection in decoded.rejected
    }
    refused |= {index: line.flaw for index, line in enumerate(lines) if line.flaw is not None}
    valid = (index for index in sound if index not in refused)
    events = [
        _with_id(event, lines[index].number, chain[index])
        for index, event in zip(valid, decoded.events, strict=True)
    ]
    rejected = [(lines[index], refused[index]) for index in sorted(refused)]
    return Judgement(events, rejected, found)


def _with_id(event: Event, number: int, digest: bytes) -> Event:
    """The event; if the file gives it no id, under one made of its line's number and `digest`.

    Such ids are in the order of the lines, so events of one instant stay in it. They are UUIDs of
    version 8: 48 bits of the number, then 74 of the digest.
    """
    if event.named:
        return event
    data = bytearray(number.to_bytes(6, "big") + digest[:10])
    data[6] = data[6] & 0x0F | 0x80
    data[8] = data[8] & 0x3F | 0x80
    return msgspec.structs.replace(event, id=UUID(bytes=bytes(data)), named=True)


def _decode(
    texts: list[bytes],
    received: datetime,
    project: str,
    retention_days: int,
    mapping: Mapping,
    max_event_bytes: int,
    found: set[str],
) -> Decoded:
    """Decode lines: as one body, which is fast, or else one by one; adds to `found`."""
    if not texts:
        return Decoded([])
    body = b"[" + b",".join(texts) + b"]"
    try:
        # `{"a":1},{"b":2}` on one line would become two events: the body must split into the lines
        if mapping.plain and [bytes(item) for item in _split(body)] == texts:
            decoded = native.decode(
                body,
                received,
                project=project,
                retention_days=retention_days,
                max_event_bytes=max_event_bytes,
            )
            if _certain(decoded):
                return decoded
    except (BadRequest, TooLarge, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    clock = Clock(received, retention_days)
    return _one_by_one(texts, clock, project, mapping, max_event_bytes, found)


def _certain(decoded: Decoded) -> bool:
    """Whether all times were read as they were meant: seconds, read as milliseconds, are old."""
    return all(rejection.field != "timestamp" for rejection in decoded.rejected) and all(
        event.timestamp >= times.FIRST_IN_MILLISECONDS for event in decoded.events
    )


def _one_by_one(
    texts: list[bytes],
    clock: Clock,
    project: str,
    mapping: Mapping,
    max_event_bytes: int,
    found: set[str],
) -> Decoded:
    """Decode lines by themselves, and read times as files write them; adds to `found`."""
    items, indexes, rejected = [], [], []
    for index, text in enumerate(texts):
        try:
            item = metadata.read(text, "line")
            found |= mapping.found(item)
            items.append(mapping.event(item))
            indexes.append(index)
        except (BadRequest, TooLarge) as error:
            rejected.append(Rejection(index, error.code, None, error.message))
        except EventError as error:
            rejected.append(Rejection(index, error.code, error.field, error.message))
    judged = validate.decode(items, clock, max_event_bytes, project)
    invalid = [
        msgspec.structs.replace(rejection, index=indexes[rejection.index])
        for rejection in judged.rejected
    ]
    return Decoded(judged.events, [*rejected, *invalid])
