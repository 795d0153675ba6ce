"""The replies that every client library understands, measured on the real ones: always 200 for
success, and one body for all.
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
    """Success when anything was valid, with the verdicts on what was not; a library that heard 400
    for that would send the valid ones again.
    """
    if not decoded.rejected:
        return Reply(200, _SUCCESS_BODY)
    return success({}, decoded.rejected) if decoded.events else refuse_all(decoded.rejected)


def success(more: dict[str, Any], rejected: Sequence[Rejection] = ()) -> Reply:
    """Success, and what one protocol adds to it."""
    verdicts = {"rejected": rejected} if rejected else {}
    return Reply(200, msgspec.json.encode(_SUCCESS | more | verdicts), note=note(rejected))


def refuse(error: AnalyticsError, status: int) -> Reply:
    """Nothing was accepted, for one reason: libraries drop it at 4xx, and keep it at 429 and 503."""
    return failure(status, error.message, error.code)


def refuse_all(rejected: Sequence[Rejection], more: dict[str, Any] | None = None) -> Reply:
    """Nothing was accepted, for no event was valid; nothing gets better by sending it again."""
    message = f"no event is valid; the first: {rejected[0].message}"
    return failure(400, message, note(rejected), {"rejected": rejected} | (more or {}))


def failure(status: int, message: str, remark: str, more: dict[str, Any] | None = None) -> Reply:
    """The body of every failure, and what one protocol adds to it."""
    body = {"success": False, "status": 0, "code": status, "error": message, "message": message}
    return Reply(status, msgspec.json.encode(body | (more or {})), note=remark)


def note(rejected: Sequence[Rejection]) -> str:
    """The first verdict in a header's few words; what a client named itself stays out of it."""
    if not rejected:
        return ""
    field = (rejected[0].field or "event").partition(".")[0]
    return f"{len(rejected)} rejected; the first: {rejected[0].code} {field}"
