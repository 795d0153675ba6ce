"""The API key in a request's headers."""

from collections.abc import Mapping

from analytics.errors import Unauthorized


def token_of(headers: Mapping[str, str]) -> str | None:
    """The key in `Authorization: Bearer`, else in `X-API-Key`; None without one."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return (bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")) or None


def needed_token(headers: Mapping[str, str]) -> str:
    """The key, where a request must have one. Raises Unauthorized without it."""
    token = token_of(headers)
    if token is None:
        raise Unauthorized("a key is needed, as `Authorization: Bearer KEY` or `X-API-Key: KEY`")
    return token
