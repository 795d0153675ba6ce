"""`analytics losses`: whether acknowledged events may be lost, and to say that one knows."""

from collections.abc import AsyncIterator

import asyncpg
import click

from analytics import tasks
from analytics.commands.finding import BAD, GOOD, ODD, Finding
from analytics.commands.output import as_json, instant
from analytics.commands.servers import database, located
from analytics.connection_errors import CONNECTION_ERRORS
from analytics.epoch import Epoch, Mark
from analytics.errors import CommandError, Unavailable
from analytics.queue.reader import Reader
from analytics.redis import connect
from analytics.settings import Settings
from analytics.stores import connections
from analytics.stores.upkeep import epoch
from analytics.terminal import say

TODO = (
    "send again what clients still have, then `analytics losses acknowledge`"
    " (docs/operations/runbook.md, AcknowledgedEventsLost)"
)


@click.group()
def losses() -> None:
    """Show and acknowledge a loss of acknowledged events: after Redis or PostgreSQL came back
    empty, or with older data.
    """


@losses.command()
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def show(json_: bool) -> None:
    """Show since when acknowledged events may be lost, if any may."""

    async def work() -> Epoch:
        async with database(located("DATABASE_URL")) as connection:
            return await epoch.read(connection)

    row = tasks.run(work())
    if json_:
        as_json({"since": row.lost_from, "found_at": row.lost_at, "how": row.lost_how})
    else:
        say(_loss(row) if row.lost_from else "no loss is known")


@losses.command()
def acknowledge() -> None:
    """End the alarm: answers no longer say that events may be lost. It brings no event back."""

    async def work() -> Epoch:
        async with database(located("DATABASE_URL")) as connection:
            return await epoch.acknowledge(connection)

    row = tasks.run(work())
    if row.lost_from is None:
        raise CommandError("no loss is known, so there is none to acknowledge")
    say(f"acknowledged: {_loss(row)}")


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Whether PostgreSQL and Redis agree, for the doctor; nothing if one of them cannot be asked,
    which the doctor says elsewhere.
    """
    redis = connect(settings)
    try:
        async with connections.connect(settings.database(), settings) as connection:
            row = await epoch.read(connection)
        yield _finding(row, (await Reader(redis).horizon()).mark)
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, ValueError, Unavailable):
        return
    finally:
        await redis.aclose()


def _finding(row: Epoch, held: Mark | None) -> Finding:
    """What the two stores say; `held` was read after the row."""
    if row.lost_from:
        return Finding(BAD, "losses", f"{_loss(row)}; {TODO}")
    if how := row.broken(held):
        sure = instant(row.sure_until, "-")
        text = f"events acknowledged after {sure} may be lost: {how}; {TODO}"
        return Finding(BAD, "losses", text)
    if row.sure_until is None:
        return Finding(ODD, "losses", "no processor has compared PostgreSQL and Redis yet")
    return Finding(GOOD, "losses", "none is known: PostgreSQL and Redis belong together")


def _loss(row: Epoch) -> str:
    """The loss of a row that has one."""
    since, found = instant(row.lost_from, "-"), instant(row.lost_at, "-")
    return f"events acknowledged after {since} may be lost: {row.lost_how}, found at {found}"
