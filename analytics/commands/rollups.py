"""`analytics rebuild` and `analytics verify`: the precomputed layer, from raw rows and against
them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import click

from analytics.commands.servers import located
from analytics.derived.cells import ANY
from analytics.derived.deltas import Dimensions
from analytics.derived.instants import DAY_SPAN, instant
from analytics.errors import CommandError
from analytics.settings import Settings
from analytics.stores.connections import connect
from analytics.stores.upkeep import coverage, rebuild, recount, verify
from analytics.stores.upkeep.verify import Difference

SHOWN = 10
"""Differences that are printed."""

FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)

_day = click.DateTime(["%Y-%m-%d"])
_projects = click.option(
    "--project", "projects", multiple=True, help="Only this project; repeatable."
)
_since = click.option("--from", "since", type=_day, help="From this UTC day on.")
_until = click.option("--to", "until", type=_day, help="Up to this UTC day, which is not included.")


@click.command("rebuild")
@_projects
@_since
@_until
def rebuild_command(
    projects: Sequence[str], since: datetime | None, until: datetime | None
) -> None:
    """Recompute rollups from raw events: history that they do not cover yet, and days that were
    changed by hand.

    With --from or --to, also every day of that range. Events may be stored and questions asked
    meanwhile. An interrupted run resumes where it stopped.
    """
    asyncio.run(_rebuild(located("DATABASE_URL"), projects, since, until))


@click.command("verify")
@_projects
@_since
@_until
def verify_command(projects: Sequence[str], since: datetime | None, until: datetime | None) -> None:
    """Compare rollups with raw events, hour by hour. If they differ, print the first differences
    and exit with status 1.
    """
    asyncio.run(_verify(located("DATABASE_URL"), projects, since, until))


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A connection whose statements may take as long as they take. Raises CommandError when there
    are no tables yet.
    """
    try:
        async with connect(settings.database(), settings, patient=True) as connection:
            yield connection
    except asyncpg.UndefinedTableError as error:
        raise CommandError("the database has no tables yet; run `analytics migrate`") from error


def _range(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    return since.replace(tzinfo=UTC) if since else FIRST, until.replace(
        tzinfo=UTC
    ) if until else LAST


async def _rebuild(
    settings: Settings, projects: Sequence[str], since: datetime | None, until: datetime | None
) -> None:
    dimensions = Dimensions(settings.rollup_dimensions)
    async with _database(settings) as connection:
        done = 0
        for project in projects or await recount.projects(connection):
            async for day in rebuild.missing(
                connection, project, dimensions, since and _range(since, until)[0]
            ):
                done += _told(project, day)
            if since or until:
                covered = await coverage.since(connection, project)
                for day in [
                    day
                    async for day in recount.days(connection, project, *_range(since, until))
                    if day >= covered
                ]:
                    await rebuild.day(connection, project, day, dimensions)
                    done += _told(project, day)
        if not projects and not since and not await rebuild.finish(connection):
            click.echo("a project was created meanwhile; run the command again", err=True)
    click.echo(f"rebuilt days: {done}")


def _told(project: str, day: int) -> int:
    click.echo(f"{project} {instant(day):%Y-%m-%d}")
    return 1


async def _verify(
    settings: Settings, projects: Sequence[str], since: datetime | None, until: datetime | None
) -> None:
    checked = incomplete = 0
    differences: list[tuple[str, Difference]] = []
    async with _database(settings) as connection:
        for project in projects or await recount.projects(connection):
            async for verdict in verify.verify(
                connection, project, *_range(since, until), Dimensions(settings.rollup_dimensions)
            ):
                checked += verdict.complete
                incomplete += not verdict.complete
                differences += [(project, difference) for difference in verdict.differences]
    for project, difference in differences[:SHOWN]:
        click.echo(_line(project, difference))
    if incomplete:
        click.echo(
            f"not covered by rollups: {incomplete} days, answered from raw events; `analytics "
            "rebuild` covers them",
            err=True,
        )
    if differences:
        raise CommandError(
            f"rollups differ from raw events in {len(differences)} places; `analytics rebuild --from DAY` corrects them"
        )
    click.echo(f"verified days: {checked}")


def _line(project: str, difference: Difference) -> str:
    place = difference.key
    when = (
        f"{instant(place.start):%Y-%m-%d}"
        if place.span == DAY_SPAN
        else f"{instant(place.start):%Y-%m-%dT%H}h"
    )
    event = ":".join(name or "*" for name in (place.event_type, place.event_action))
    dimension = f" {place.key}={difference.value!r}" if place.key != ANY else ""
    return f"{project} {when} {event}{dimension}: rollups say {difference.stored}, raw events {difference.counted}"
