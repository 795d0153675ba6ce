"""Replies that every client library understands, as tested with the real ones.

Success is always 200, and one body fits all of them.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from analytics.errors import AnalyticsError
from analytics.events import Event
from analytics.protocols.protocol import Decoded, Incoming, Rejection, Reply

_SUCCESS = {"success": True, "status": 1, "code": 200, "error": None}
_SUCCESS_BODY = msgspec.json.encode(_SUCCESS)


def accept(_: Incoming, decoded: Decoded, __: Sequence[Event]) -> Reply:
    """Success when any event was valid, with the rejections of the others.

    After a 400 a library would send the valid events again.
    """
    if not (decoded.rejected or decoded.dropped):
        return Reply(200, _SUCCESS_BODY)
    return success({}, decoded) if decoded.events else refuse_all(decoded)


def success(more: dict[str, Any], decoded: Decoded) -> Reply:
    """The body of success, and what one protocol adds to it."""
    body = msgspec.json.encode(_SUCCESS | more | decoded.verdicts)
    return Reply(200, body, note=note(decoded.rejected))


def refuse(error: AnalyticsError, status: int) -> Reply:
    """Nothing was accepted, for one reason. Libraries keep events at 429 and 503, not at 4xx."""
    return failure(status, error.message, error.code)


def refuse_all(decoded: Decoded, more: dict[str, Any] | None = None) -> Reply:
    """Nothing was accepted, because no event was valid; sending it again would not help."""
    message = f"no event is valid; the first: {decoded.rejected[0].message}"
    return failure(400, message, note(decoded.rejected), decoded.verdicts | (more or {}))


def failure(status: int, message: str, remark: str, more: dict[str, Any] | None = None) -> Reply:
    """The body of every failure, and what one protocol adds to it."""
    body = {"success": False, "status": 0, "code": status, "error": message, "message": message}
    return Reply(status, msgspec.json.encode(body | (more or {})), note=remark)


def note(rejected: Sequence[Rejection]) -> str:
    """How many rejections, and the first, short enough for a header.

    It leaves out the part of the field's name that the client chose.
    """
    if not rejected:
        return ""
    field = (rejected[0].field or "event").partition(".")[0]
    return f"{len(rejected)} rejected; the first: {rejected[0].code} {field}"
