"""Lines → events, by the verdicts of /collect."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from analytics.errors import BadRequest, TooLarge
from analytics.events import Event, event_id
from analytics.importing.lines import Flaw, Line
from analytics.protocols import metadata, native, validate
from analytics.protocols.clock import Clock
from analytics.protocols.protocol import Decoded, Rejection

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Verdicts(msgspec.Struct, frozen=True):
    """What a batch of lines holds: its events, each under an id that stays the same, and its flawed
    lines.
    """

    events: list[Event]
    rejected: list[tuple[Line, Flaw]]


def link(chain: bytes, line: Line) -> bytes:
    """The digest of all lines up to this one, given the digest up to the one before.

    It names an event that has no id, so that the same line of the same file is the same event
    whenever it is read again: after an interruption, compressed or not, and also when the file has
    grown since.
    """
    return hashlib.sha256(chain + line.source.rstrip(b"\r\n")).digest()


def judge(
    lines: Sequence[Line],
    chain: Sequence[bytes],
    received: datetime,
    project: str,
    retention_days: int,
) -> Verdicts:
    """The verdict on each line; `chain` holds the digest of all lines up to each."""
    sound = [index for index, line in enumerate(lines) if line.flaw is None]
    decoded = _decode([lines[index].text for index in sound], received, project, retention_days)
    refused = {
        sound[rejection.index]: Flaw(rejection.code, rejection.field, rejection.message)
        for rejection in decoded.rejected
    }
    refused |= {index: line.flaw for index, line in enumerate(lines) if line.flaw is not None}
    kept = (index for index in sound if index not in refused)
    events = [
        _named(event, chain[index]) for index, event in zip(kept, decoded.events, strict=True)
    ]
    return Verdicts(events, [(lines[index], refused[index]) for index in sorted(refused)])


def _named(event: Event, digest: bytes) -> Event:
    return (
        event
        if event.named
        else msgspec.structs.replace(event, id=event_id(f"import:{digest.hex()}"), named=True)
    )


def _decode(texts: list[bytes], received: datetime, project: str, retention_days: int) -> Decoded:
    """All lines as one body, which is quick; one by one where that body would not be exactly these
    lines.
    """
    if not texts:
        return Decoded([])
    body = b"[" + b",".join(texts) + b"]"
    try:
        if [bytes(item) for item in _split(body)] == texts:
            return native.decode(body, received, project=project, retention_days=retention_days)
    except (BadRequest, TooLarge, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return _one_by_one(texts, received, project, retention_days)


def _one_by_one(
    texts: list[bytes], received: datetime, project: str, retention_days: int
) -> Decoded:
    items, places, rejected = [], [], []
    for index, text in enumerate(texts):
        try:
            items.append(metadata.parse(text.decode()))
            places.append(index)
        except UnicodeDecodeError as error:
            rejected.append(
                Rejection(index, "not_json", None, f"the line is not UTF-8 (byte {error.start})")
            )
        except ValueError as error:
            rejected.append(Rejection(index, "not_json", None, f"the line is not JSON: {error}"))
    judged = validate.decode(items, Clock(received, retention_days), project)
    moved = [
        Rejection(places[verdict.index], verdict.code, verdict.field, verdict.message)
        for verdict in judged.rejected
    ]
    return Decoded(judged.events, [*rejected, *moved])
