"""What client libraries wrap around their JSON: forms, base64, query strings, lines. Sniffed, for
their headers do not tell.
"""

import binascii
from typing import Any
from urllib.parse import parse_qsl

from analytics.errors import BadRequest, TooLarge
from analytics.protocols import metadata
from analytics.protocols.protocol import MAX_EVENTS, Incoming, bound_containers, empty_batch

_BASE64 = bytes.maketrans(b"-_ ", b"+/+")


def json(text: bytes) -> Any:
    """A JSON text, as `metadata.parse` reads it. Raises BadRequest, TooLarge."""
    bound_containers(text)
    try:
        return metadata.parse(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8 (byte {error.start})", code="not_json") from error
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}", code="not_json") from error


def sniffed(text: bytes) -> Any:
    """JSON, or base64 of it, of either alphabet and with or without its padding. Raises BadRequest,
    TooLarge.
    """
    text = text.strip()
    return json(text if text[:1] in (b"{", b"[", b'"', b"") else unbase64(text) or text)


def unbase64(text: bytes) -> bytes | None:
    """The bytes that base64 stands for; None when it is none."""
    try:
        return binascii.a2b_base64(
            text.rstrip(b"=").translate(_BASE64) + b"=" * (-len(text.rstrip(b"=")) % 4),
            strict_mode=True,
        )
    except binascii.Error:
        return None


def lines(text: bytes) -> Any:
    """JSON, or a list of the values that stand one a line. Raises BadRequest, TooLarge."""
    if text.lstrip()[:1] == b"[":
        return json(text)
    found = [line for line in text.splitlines() if line.strip()]
    return json(b"[" + b",".join(found) + b"]") if len(found) > 1 else json(text)


def fields(text: bytes) -> dict[str, str]:
    """A form or a query string; bad UTF-8 becomes lone surrogates, which the judge will find."""
    return dict(
        parse_qsl(
            text.decode(errors="surrogateescape"), keep_blank_values=True, errors="surrogateescape"
        )
    )


def is_form(text: bytes) -> bool:
    """Whether a body is a form: neither JSON nor base64 has a word before its first `=`, and more
    after it.
    """
    name, _, more = text.lstrip()[:64].partition(b"=")
    return bool(more.strip(b"=")) and name.replace(b"_", b"").isalnum()


def data(incoming: Incoming) -> Any:
    """What a request tells, in its body, or in `data` of a form or of the query string. Raises
    BadRequest, TooLarge.
    """
    form = fields(incoming.body) if is_form(incoming.body) else {}
    if "data" in form:
        return sniffed(form["data"].encode(errors="surrogateescape"))
    if incoming.body.strip():
        return sniffed(incoming.body)
    return sniffed(fields(incoming.query).get("data", "").encode(errors="surrogateescape"))


def batch(items: Any) -> list[Any]:
    """A list of events, or a single one as such a list. Raises BadRequest for an empty one,
    TooLarge.
    """
    listed: list[Any] = items if isinstance(items, list) else [items]
    if not listed:
        raise empty_batch()
    if len(listed) > MAX_EVENTS:
        raise TooLarge(f"a request may hold {MAX_EVENTS} events")
    return listed


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object, or an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}
