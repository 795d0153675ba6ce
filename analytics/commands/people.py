"""`analytics people`: take people apart who were joined wrongly."""

import sys

import click

from analytics import tasks
from analytics.commands.output import columns
from analytics.commands.servers import database, located, require_projects
from analytics.errors import CommandError
from analytics.events import DEFAULT_PROJECT
from analytics.settings import Settings
from analytics.stores.identity import splits
from analytics.stores.identity.links import take_turn
from analytics.stores.identity.resolution import Pair
from analytics.terminal import say

SHOWN_LINKS = 50


@click.group()
def people() -> None:
    """Take people apart who were joined wrongly."""


def _name(_: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """A name as it was given: an empty one must not mean every name."""
    if text == "":
        raise click.BadParameter("a name is not empty", param=option)
    return text


@people.command()
@click.argument("name", callback=_name)
@click.option("--project", default=DEFAULT_PROJECT, show_default=True, help="Project of the name.")
@click.option(
    "--from",
    "other",
    metavar="OTHER",
    callback=_name,
    help="Only what links NAME and this other name.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def split(name: str, project: str, other: str | None, yes: bool) -> None:
    """Remove what links NAME to other names, so that they are counted apart from now on.

    That is every claim by NAME, every claim on NAME, and every alias of it. Events stay as they
    are. What events from before the split say of NAME links nobody again, however late they come;
    an event from after it may.
    """
    settings = located("DATABASE_URL")
    claims, aliases = tasks.run(_said(settings, project, name, other or ""))
    if not claims and not aliases:
        between = f" with {other}" if other else ""
        raise CommandError(f"nothing links {name}{between} in the project {project}")
    _show(claims, aliases)
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for confirmation; pass --yes")
    if yes or click.confirm(f"Remove these {len(claims) + len(aliases):,} links?"):
        tasks.run(_split(settings, project, name, other or ""))
        say(f"links removed: {len(claims) + len(aliases):,}")


async def _said(
    settings: Settings, project: str, name: str, other: str
) -> tuple[list[Pair], list[Pair]]:
    await require_projects(settings, [project])
    async with database(settings) as connection:
        return await splits.said(connection, project, name, other)


async def _split(settings: Settings, project: str, name: str, other: str) -> None:
    async with database(settings) as connection, connection.transaction():
        version = await take_turn(connection, project)
        await splits.split(connection, project, version, name, other)


def _show(claims: list[Pair], aliases: list[Pair]) -> None:
    """Print the links of a name: who says that which other name is theirs."""
    links = [("claim", *pair) for pair in claims] + [("alias", *pair) for pair in aliases]
    columns(("WHAT", "OTHER NAME", "USER"), links[:SHOWN_LINKS])
    if len(links) > SHOWN_LINKS:
        say(f"and {len(links) - SHOWN_LINKS:,} more")
