"""The pixel: GET /collect.gif, for pages and mails that can only show an image.

The query string has the fields of an event; an empty field counts as absent. Metadata is JSON in
`metadata`, or single values in `metadata.KEY`: numbers as JSON writes them, else text.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from analytics.errors import BadRequest
from analytics.events import Event
from analytics.protocols import bodies, numbers, validate
from analytics.protocols.clock import Clock, timestamp
from analytics.protocols.native import refuse, refuse_all
from analytics.protocols.protocol import Decoded, Draft, EventError, Incoming, Protocol, Reply

GIF = bytes.fromhex(
    "474946383961 01000100 80 00 00 000000 000000"  # GIF89a, 1 x 1, two colours
    "21f90401000000 00 2c 00000000 01000100 00 02 02 4401 00 3b"  # transparent; one pixel
)
"""One transparent pixel."""

_INTEGER = re.compile(r"-?[0-9]{1,20}")


def read(incoming: Incoming) -> Draft:
    """A query string, with its key."""
    fields = _fields(incoming.query)
    try:
        sent_at = timestamp(fields["sent_at"], "sent_at") if "sent_at" in fields else None
        clock = Clock(incoming.received, incoming.retention_days, sent_at)
    except EventError as error:
        raise BadRequest(error.message, code=error.code, field=error.field) from error
    key = fields.get("write_key", incoming.key)
    decode = partial(validate.decode, [fields], clock, incoming.max_event_bytes)
    return Draft.of_one_key(key, 1, decode)


def accept(_: Incoming, decoded: Decoded, __: Sequence[Event]) -> Reply:
    """An image; errors are JSON, as everywhere."""
    return Reply(200, GIF, b"image/gif") if decoded.events else refuse_all(decoded)


def _fields(query: bytes) -> dict[str, Any]:
    """A query string as an event. Bad UTF-8 becomes lone surrogates, which validation refuses."""
    given = dict(parse_qsl(query.decode(errors="surrogateescape"), errors="surrogateescape"))
    fields: dict[str, Any] = {
        name: value for name, value in given.items() if not name.startswith("metadata.")
    }
    for name in ("timestamp", "sent_at"):
        if name in fields and _INTEGER.fullmatch(fields[name]):
            fields[name] = int(fields[name])
    singles = {
        name.partition(".")[2]: numbers.of(value)
        for name, value in given.items()
        if name.startswith("metadata.")
    }
    if "metadata" in fields:
        fields["metadata"] = _json(fields["metadata"])
    if singles and isinstance(fields.setdefault("metadata", {}), dict):
        fields["metadata"] |= singles
    return fields


def _json(text: str) -> Any:
    """JSON, decoded; what is not JSON stays a string, which validation refuses."""
    try:
        return bodies.parsed(text)
    except ValueError:
        return text


PIXEL = Protocol("pixel", {"/collect.gif": ("GET",)}, read, accept, refuse)
