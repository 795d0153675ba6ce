"""`analytics rebuild` and `analytics verify`: make rollups from raw events, or compare them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from analytics import tasks
from analytics.commands.servers import database, located, require_projects
from analytics.derived.cells import ANY
from analytics.derived.deltas import Dimensions
from analytics.derived.instants import DAY_SPAN, instant
from analytics.errors import CommandError
from analytics.settings import Settings
from analytics.stores.upkeep import coverage, rebuild, recount, statistics, verify
from analytics.stores.upkeep.verify import Difference
from analytics.terminal import say

SHOWN_DIFFERENCES = 10

# a margin inside datetime's range: day arithmetic must not overflow
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)

_day = click.DateTime(["%Y-%m-%d"])
_projects = click.option(
    "--project", "projects", multiple=True, help="Only this project; repeatable."
)
_since = click.option(
    "--from", "since", type=_day, metavar="YYYY-MM-DD", help="From this UTC day on."
)
_until = click.option(
    "--to",
    "until",
    type=_day,
    metavar="YYYY-MM-DD",
    help="Up to this UTC day, which is not included.",
)


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
    tasks.run(_rebuild(located("DATABASE_URL"), projects, since, until))


@click.command("verify")
@_projects
@_since
@_until
def verify_command(projects: Sequence[str], since: datetime | None, until: datetime | None) -> None:
    """Compare rollups with raw events, hour by hour, and packed days with the events of their day.
    If they differ, print the first differences and exit with status 1.
    """
    tasks.run(_verify(located("DATABASE_URL"), projects, since, until))


def _range(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """The options --from and --to as instants, with defaults."""
    start = since.replace(tzinfo=UTC) if since else FIRST
    return start, until.replace(tzinfo=UTC) if until else LAST


async def _rebuild(
    settings: Settings, projects: Sequence[str], since: datetime | None, until: datetime | None
) -> None:
    dimensions = Dimensions(settings.rollup_dimensions)
    start, end = _range(since, until)
    days = 0
    await require_projects(settings, projects)
    async with database(settings) as connection:
        await statistics.refresh(connection)
        for project in projects or await recount.projects(connection):
            # first the days that rollups do not cover yet, back to --from
            async for day in rebuild.missing(connection, project, dimensions, since and start):
                _show_day(project, day)
                days += 1
            if since or until:
                # then the days of the range that they cover
                covered = await coverage.since(connection, project)
                with_events = recount.days(connection, project, start, end)
                for day in [day async for day in with_events if day >= covered]:
                    await rebuild.day(connection, project, day, dimensions)
                    _show_day(project, day)
                    days += 1
        if not projects and not since and not await rebuild.finish(connection):
            say("a project was created meanwhile; run the command again", err=True)
    say(f"rebuilt days: {days}")


def _show_day(project: str, day: int) -> None:
    say(f"{project} {instant(day):%Y-%m-%d}")


async def _verify(
    settings: Settings, projects: Sequence[str], since: datetime | None, until: datetime | None
) -> None:
    checked = incomplete = 0
    differences: list[tuple[str, Difference]] = []
    dimensions = Dimensions(settings.rollup_dimensions)
    start, end = _range(since, until)
    await require_projects(settings, projects)
    async with database(settings) as connection:
        await statistics.refresh(connection)
        for project in projects or await recount.projects(connection):
            async for day in verify.verify(connection, project, start, end, dimensions):
                checked += day.complete
                incomplete += not day.complete
                differences += [(project, difference) for difference in day.differences]
    for project, difference in differences[:SHOWN_DIFFERENCES]:
        say(_line(project, difference))
    if incomplete:
        say(
            f"not covered by rollups: {incomplete} days, answered from raw events; `analytics "
            "rebuild` covers them",
            err=True,
        )
    if differences:
        raise CommandError(
            f"rollups differ from raw events in {len(differences)} places; "
            "`analytics rebuild --from DAY` corrects them"
        )
    say(f"verified days: {checked}")


def _line(project: str, difference: Difference) -> str:
    """One difference: the project, the hour or day, the event, and both counts."""
    place = difference.key
    when = instant(place.start).strftime("%Y-%m-%d" if place.span == DAY_SPAN else "%Y-%m-%dT%Hh")
    event = ":".join(name or "*" for name in (place.event_type, place.event_action))
    value = json.dumps(difference.value, ensure_ascii=False)
    dimension = f" {place.key}={value}" if place.key != ANY else ""
    return (
        f"{project} {when} {event}{dimension}: "
        f"rollups say {difference.stored}, raw events {difference.counted}"
    )
