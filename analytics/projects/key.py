"""An API key: what is known of it, and what it opens."""

import hashlib
from datetime import UTC, datetime

import msgspec

from analytics.errors import Forbidden
from analytics.events import DEFAULT_PROJECT

SCOPES = ("ingest", "query", "realtime", "admin")
"""What a key may do; admin includes the others."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an API key. Its text is never kept."""

    id: int
    prefix: str
    name: str = ""
    project: str | None
    """The only project the key opens; None opens every project."""
    scopes: frozenset[str]
    origins: tuple[str, ...] = ()
    """Origins of the pages that may use the key; empty means any page."""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked: bool = False

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


def digest(token: str) -> bytes:
    """The SHA-256 of a key's text, by which keys are stored, compared and looked up.

    So the time a comparison takes tells nothing about the text.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def authorize(
    key: ApiKey, scope: str, project: str | None = None, *, origin: str | None = None
) -> str:
    """The project of a request: the one it names, else the key's own, else `default`.

    Raises Forbidden when the key lacks the scope, belongs to another project, or is used on a page
    of another origin. A request without an origin is not from a browser and could claim any origin,
    so it is not refused for that.
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
