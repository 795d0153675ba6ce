"""`analytics keys`: make, list and revoke API keys.

A key's text is shown once, when it is made; only its digest is stored.
"""

import contextlib
from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics import hosts, tasks
from analytics.commands.output import as_json, columns, instant
from analytics.commands.servers import change_register, located, register
from analytics.commands.span import span
from analytics.errors import BadRequest
from analytics.events import DEFAULT_PROJECT
from analytics.projects import SCOPES, ApiKey, create_key, list_keys, revoke_key
from analytics.settings import Settings
from analytics.terminal import say

HEADER = ("ID", "KEY", "PROJECT", "SCOPES", "STATE", "CREATED", "EXPIRES", "ORIGINS", "NAME")


class Expiry(click.ParamType[datetime]):
    """An option type: a span from now, or an ISO date or date-time (UTC by default)."""

    name = "expiry"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        now = datetime.now(UTC)
        try:
            length = span(value)
            moment = datetime.fromisoformat(value) if length is None else now + length
        except ValueError:
            message = f"{value!r} is neither a span like 30d nor an ISO date or date-time"
            self.fail(message, param, ctx)
        try:
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except OverflowError:
            self.fail(f"{value} is outside the years 1 to 9999 in UTC", param, ctx)
        if moment <= now:
            self.fail(f"{value} is in the past", param, ctx)
        return moment


class Origin(click.ParamType[str]):
    """An option type: an Origin header of a browser, `scheme://host` or `scheme://host:port`."""

    name = "origin"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return hosts.origin(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


@click.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command()
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What the key may do; repeatable. admin includes the others.",
)
@click.option(
    "--project", help=f"The project that the key works for.  [default: {DEFAULT_PROJECT}]"
)
@click.option("--all-projects", is_flag=True, help="The key works for every project.")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    type=Origin(),
    metavar="https://HOST",
    help="Origin whose pages may use the key; repeatable. Without it, any.",
)
@click.option(
    "--expires",
    type=Expiry(),
    metavar="30d|DATE",
    help="When the key expires: after a span, or at an ISO date or date-time.  [default: never]",
)
@click.option("--name", default="", help="A name to recognise the key by.")
@click.option(
    "--token",
    help="Make another product's token a key here, so that its libraries need no new one.  "
    "[default: a new one]",
)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def create(
    scopes: tuple[str, ...],
    project: str | None,
    all_projects: bool,
    origins: tuple[str, ...],
    expires: datetime | None,
    name: str,
    token: str | None,
    json_: bool,
) -> None:
    """Create a key and print it. It is shown only once."""
    if len(name) > 100:
        raise click.BadParameter("a name has at most 100 characters", param_hint="--name")
    if project and all_projects:
        raise click.UsageError("--project and --all-projects exclude each other")

    async def change(engine: AsyncEngine) -> None:
        where = None if all_projects else project or DEFAULT_PROJECT
        text, key = await create_key(
            engine,
            scopes=scopes,
            project=where,
            origins=origins,
            expires_at=expires,
            name=name,
            token=token,
        )
        if json_:
            as_json({"key": text, **_document(key)})
        else:
            say(text)
            hint = "" if token else "; it is shown only now, so keep it"
            say(f"key {key.id}: {_summary(key)}{hint}", err=True)

    tasks.run(change_register(located("DATABASE_URL"), change))


@keys.command("list")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def list_(json_: bool) -> None:
    """List the keys, without their secret text."""

    async def work() -> list[ApiKey]:
        async with register(located("DATABASE_URL")) as engine:
            return await list_keys(engine)

    rows = tasks.run(work())
    if json_:
        as_json([_document(key) for key in rows])
    else:
        columns(HEADER, [_row(key) for key in rows], shorten=("ORIGINS", "NAME"))


@keys.command()
@click.argument("which", metavar="ID|PREFIX")
def revoke(which: str) -> None:
    """Revoke the key with this id, this prefix or this full text. It is refused everywhere within a
    minute.
    """

    async def change(engine: AsyncEngine) -> None:
        key = await revoke_key(engine, which)
        say(
            f"revoked key {key.id}, {key.prefix}…: {_summary(key)}; "
            "it is refused everywhere within a minute"
        )

    tasks.run(change_register(located("DATABASE_URL"), change))


async def make_known(settings: Settings, token: str) -> None:
    """Make `token` a key that may send events to the project default, unless it is one already."""

    async def change(engine: AsyncEngine) -> None:
        with contextlib.suppress(BadRequest):
            await create_key(
                engine,
                scopes=("ingest",),
                project=DEFAULT_PROJECT,
                name="of `analytics run`",
                token=token,
            )

    await change_register(settings, change)


def _state(key: ApiKey) -> str:
    return "revoked" if key.revoked else "expired" if key.expired else "active"


def _summary(key: ApiKey) -> str:
    """What a key may do, where, and until when."""
    where = f"project {key.project}" if key.project else "every project"
    until = f", until {instant(key.expires_at, '')}" if key.expires_at else ""
    return f"{', '.join(sorted(key.scopes))} in {where}{until}"


def _row(key: ApiKey) -> tuple[str, ...]:
    """The cells of `keys list`, in the order of HEADER."""
    return (
        str(key.id),
        f"{key.prefix}…",
        key.project or "(every)",
        ",".join(sorted(key.scopes)),
        _state(key),
        instant(key.created_at, "-"),
        instant(key.expires_at, "never"),
        ",".join(key.origins) or "any",
        key.name,
    )


def _document(key: ApiKey) -> dict[str, object]:
    """A key for `--json`."""
    return {
        "id": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "project": key.project,
        "scopes": sorted(key.scopes),
        "origins": key.origins,
        "state": _state(key),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
    }
