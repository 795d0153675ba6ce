"""A key: what is known of it, and what it opens."""

import hashlib
from datetime import UTC, datetime

import msgspec

from analytics.errors import Forbidden
from analytics.events import DEFAULT_PROJECT

SCOPES = ("ingest", "query", "realtime", "admin")
"""What a key may do; admin includes the others."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key; never its text."""

    id: int
    prefix: str
    name: str = ""
    project: str | None
    """The only project that it opens; None opens every project."""
    scopes: frozenset[str]
    origins: tuple[str, ...] = ()
    """Origins of the pages that may use it; none means any."""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked: bool = False

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


def digest(token: str) -> bytes:
    """What stands for a key wherever it is stored, compared or looked up, so that timing tells
    nothing of its text.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def authorize(
    key: Key, scope: str, project: str | None = None, *, origin: str | None = None
) -> str:
    """The project that a request with this key is for: the one asked for, else the key's own, else
    `default`.

    Raises Forbidden when the key lacks the scope, belongs to another project, or is used from a
    page it was not made for; a caller without `origin` is no browser, and free to claim any, so it
    is not refused.
    """
    if scope not in key.scopes and "admin" not in key.scopes:
        raise Forbidden(f"this key lacks the scope {scope}", code="missing_scope")
    if project is not None and key.project not in (None, project):
        raise Forbidden(
            "this key belongs to another project", code="other_project", field="project"
        )
    if origin is not None and key.origins and origin not in key.origins:
        raise Forbidden("this key is not for pages of this origin", code="foreign_origin")
    return project or key.project or DEFAULT_PROJECT
