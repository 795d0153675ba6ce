"""The register of projects and API keys in the database.

It stores a key's digest and the first characters of its text, never the whole text.
"""

import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import asyncpg
from sqlalchemy import ColumnElement, NullPool, Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from analytics import hosts
from analytics.connection_errors import CONNECTION_ERRORS
from analytics.errors import BadRequest, NotFound, Unavailable
from analytics.events import DEFAULT_PROJECT
from analytics.projects.key import SCOPES, ApiKey, digest
from analytics.tables import api_keys, projects

TIMEOUT_SECONDS = 5.0

MAX_TOKEN_CHARACTERS = 255

_PREFIX_CHARACTERS = 12
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def open_engine(database_url: str) -> AsyncEngine:
    """An engine for rare, short use: no connection stays open, no wait exceeds TIMEOUT_SECONDS."""

    async def connect() -> asyncpg.Connection:
        settings = {"application_name": "analytics keys", "lock_timeout": f"{TIMEOUT_SECONDS}s"}
        return await asyncpg.connect(
            database_url,
            timeout=TIMEOUT_SECONDS,
            command_timeout=TIMEOUT_SECONDS,
            server_settings=settings,
        )

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


class DatabaseKeys:
    """The key table itself; a KeyTable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, digest: bytes) -> ApiKey | None:
        """See KeyTable."""
        statement = select(api_keys).where(api_keys.c.digest == digest)
        try:
            async with self._engine.connect() as connection:
                row = (await connection.execute(statement)).one_or_none()
        except (*CONNECTION_ERRORS, SQLAlchemyError, asyncpg.PostgresError) as error:
            raise Unavailable("keys cannot be checked: the database does not answer") from error
        return None if row is None else _key(row)


async def create_key(
    engine: AsyncEngine,
    *,
    scopes: Iterable[str],
    project: str | None,
    origins: Iterable[str] = (),
    expires_at: datetime | None = None,
    name: str = "",
    token: str | None = None,
) -> tuple[str, ApiKey]:
    """A new key and its text, which is stored nowhere.

    `token` is a text of another product, which its libraries already send. Raises BadRequest for an
    unknown scope, a token already in use, or a `token` with more scopes than ingest; NotFound for
    an unknown project.
    """
    granted = set(scopes)
    if not granted or not granted <= set(SCOPES):
        raise BadRequest(
            f"a key needs at least one of the scopes {', '.join(SCOPES)}", field="scope"
        )
    if token is None:
        token = f"ak_{_letter(granted)}_{secrets.token_urlsafe(32)}"
    elif granted != {"ingest"}:
        raise BadRequest(
            "a token of another product is public and often short:"
            " it may have the scope ingest and no other",
            field="token",
        )
    elif not (
        0 < len(token) <= MAX_TOKEN_CHARACTERS and token.strip() == token and token.isprintable()
    ):
        raise BadRequest(
            f"a token has 1 to {MAX_TOKEN_CHARACTERS} printable characters", field="token"
        )
    added = insert(api_keys).values(
        digest=digest(token),
        prefix=token[:_PREFIX_CHARACTERS],
        name=name,
        project=project,
        scopes=sorted(granted),
        origins=list(origins),
        created_at=datetime.now(UTC),
        expires_at=expires_at,
    )
    async with engine.begin() as connection:
        if project not in (None, DEFAULT_PROJECT):
            await _require_project(connection, project)
        result = await connection.execute(added.on_conflict_do_nothing().returning(*api_keys.c))
        row = result.one_or_none()
    if row is None:
        raise BadRequest(
            "this token is a key already, perhaps a revoked one; `analytics keys list` shows it",
            field="token",
        )
    return token, _key(row)


async def _require_project(connection: AsyncConnection, project: str | None) -> None:
    named = await connection.execute(select(projects).where(projects.c.name == project))
    if not named.all():
        raise NotFound(
            f"there is no project {project}; `analytics projects create {project}` makes it",
            field="project",
        )


def _letter(scopes: set[str]) -> str:
    """The letter in a key's text: w may only write (so it can be public), r only read, a more."""
    if scopes == {"ingest"}:
        return "w"
    return "r" if scopes <= {"query", "realtime"} else "a"


async def list_keys(engine: AsyncEngine) -> list[ApiKey]:
    """All keys, the oldest first."""
    async with engine.connect() as connection:
        return list((await read_keys(connection)).values())


async def read_keys(connection: AsyncConnection) -> dict[bytes, ApiKey]:
    """All keys by their digests, the oldest first."""
    return {
        row.digest: _key(row)
        for row in await connection.execute(select(api_keys).order_by(api_keys.c.id))
    }


async def revoke_key(engine: AsyncEngine, which: str) -> ApiKey:
    """Revoke a key, named by its id, its first characters or its whole text.

    Raises NotFound; BadRequest for an empty name, or for first characters that several keys share.
    """
    if not which.strip():
        raise BadRequest(
            "name the key by its id or its prefix; `analytics keys list` shows them", field="which"
        )
    condition: ColumnElement[bool]
    if which.isascii() and which.isdigit():
        condition = api_keys.c.id == min(int(which), 2**31 - 1)
    elif len(which) > _PREFIX_CHARACTERS:
        condition = api_keys.c.digest == digest(which)
    else:
        condition = api_keys.c.prefix.startswith(which, autoescape=True)
    revoking = update(api_keys).where(condition).values(revoked=True).returning(*api_keys.c)
    async with engine.begin() as connection:
        rows = (await connection.execute(revoking)).all()
        if len(rows) > 1:
            raise BadRequest(
                f"{len(rows)} keys begin with {which}; nothing was revoked, name one by its id"
            )
        if not rows:
            raise NotFound("there is no such key; `analytics keys list` shows all")
    return _key(rows[0])


def is_project(name: str) -> bool:
    """Whether a name is allowed for a project."""
    return _PROJECT.fullmatch(name) is not None


async def create_project(engine: AsyncEngine, name: str) -> bool:
    """Make a project; False if it exists already.

    Raises BadRequest for a name that is not 1 to 64 of A-Z a-z 0-9 . _ -, or that begins with one
    of the last three.
    """
    if not is_project(name):
        raise BadRequest(
            "a project's name is 1 to 64 letters, digits, dots, dashes or underscores,"
            " and begins with a letter or digit",
            field="name",
        )
    statement = (
        insert(projects)
        .values(name=name, created_at=datetime.now(UTC))
        .on_conflict_do_nothing()
        .returning(projects.c.name)
    )
    async with engine.begin() as connection:
        return (await connection.execute(statement)).one_or_none() is not None


async def list_projects(engine: AsyncEngine) -> list[tuple[str, datetime]]:
    """All projects, by name, with the time each was made."""
    async with engine.connect() as connection:
        return [
            (row.name, row.created_at)
            for row in await connection.execute(select(projects).order_by(projects.c.name))
        ]


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        prefix=row.prefix,
        name=row.name,
        project=row.project,
        scopes=frozenset(row.scopes),
        origins=tuple(map(_as_sent, row.origins)),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked=row.revoked,
    )


def _as_sent(origin: str) -> str:
    """An origin as browsers send it; earlier versions stored them as typed."""
    try:
        return hosts.origin(origin)
    except ValueError:
        return origin
