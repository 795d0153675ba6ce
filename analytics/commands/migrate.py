"""`analytics migrate`: bring the database's tables up to date."""

import asyncio

import click

from analytics.commands.servers import located
from analytics.settings import Settings
from analytics.terminal import say


@click.command()
def migrate() -> None:
    """Update the database's tables to this release. Safe to run again, and by several replicas at
    once.
    """
    from analytics.stores.schema import migrate as upgrade

    settings = located("DATABASE_URL")
    done = upgrade(settings.database(), settings)
    if done.changed:
        say(f"migrated from {done.before or 'an empty database'} to {done.after}")
    else:
        say(f"nothing to do: the tables are at {done.after}")
    _carry(settings)


def _carry(settings: Settings) -> None:
    """Carry over what the guide's own tables hold, and say how many events that were."""
    from analytics.stores import guide

    carried = asyncio.run(guide.carry(settings))
    if carried is None:
        return
    outcome = carried.outcome
    say(
        f"carried {outcome.stored} events over from the deployment guide's raw_events;"
        " that table stays as raw_events_guide"
    )
    if outcome.duplicate:
        say(f"{outcome.duplicate} were there already")
    if outcome.dead_lettered:
        say(f"{outcome.dead_lettered} could not be stored; see `analytics dead-letters`")
    if rows := carried.unreadable.rows:
        say(
            f"{rows} have a time that is infinite or outside the years 2 to 9998, so they stay in "
            f"raw_events_guide only: {', '.join(carried.unreadable.first)}"
            f"{', …' if rows > len(carried.unreadable.first) else ''}"
        )
    if carried.expired:
        say(
            f"{carried.expired} are older than RETENTION_DAYS={settings.retention_days},"
            " so the processor will drop them; RETENTION_DAYS=0 keeps them"
        )
