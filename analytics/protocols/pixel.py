"""The pixel: GET /collect.gif, for pages and mails that can do no more than show an image.

The same fields in the query string, an empty one as if it were not there; metadata as JSON, or a
string under `metadata.KEY`.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from analytics.errors import BadRequest
from analytics.events import Event
from analytics.protocols import metadata, validate
from analytics.protocols.clock import Clock, timestamp
from analytics.protocols.native import refuse, refuse_all
from analytics.protocols.protocol import Decoded, Draft, Fault, Incoming, Protocol, Reply

GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
"""One transparent dot."""

_WHOLE = re.compile(r"-?[0-9]{1,20}")


def read(incoming: Incoming) -> Draft:
    """A query string, with its key."""
    fields = _fields(incoming.query)
    try:
        clock = Clock(
            incoming.received,
            incoming.retention_days,
            timestamp(fields["sent_at"], "sent_at") if "sent_at" in fields else None,
        )
    except Fault as fault:
        raise BadRequest(fault.message, code=fault.code, field=fault.field) from fault
    return Draft(fields.get("write_key", incoming.key), partial(validate.judge, [fields], clock))


def accept(_: Incoming, decoded: Decoded, __: Sequence[Event]) -> Reply:
    """An image; errors are JSON as everywhere."""
    return Reply(200, GIF, b"image/gif") if decoded.events else refuse_all(decoded.rejected)


def _fields(query: bytes) -> dict[str, Any]:
    """A query string as the event it stands for; bad UTF-8 becomes lone surrogates, which the judge
    will find.
    """
    given = dict(parse_qsl(query.decode(errors="surrogateescape"), errors="surrogateescape"))
    fields: dict[str, Any] = {
        name: value for name, value in given.items() if not name.startswith("metadata.")
    }
    for name in ("timestamp", "sent_at"):
        if name in fields and _WHOLE.fullmatch(fields[name]):
            fields[name] = int(fields[name])
    singles = {
        name.partition(".")[2]: value
        for name, value in given.items()
        if name.startswith("metadata.")
    }
    if "metadata" in fields:
        fields["metadata"] = _parsed(fields["metadata"])
    if singles and isinstance(fields.setdefault("metadata", {}), dict):
        fields["metadata"] |= singles
    return fields


def _parsed(text: str) -> Any:
    try:
        return metadata.parse(text)
    except ValueError:
        return text


PIXEL = Protocol("pixel", {"/collect.gif": ("GET",)}, read, accept, refuse)
