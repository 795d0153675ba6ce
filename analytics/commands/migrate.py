"""`analytics migrate`: bring the database's tables up to date."""

import click

from analytics.commands.servers import located


@click.command()
def migrate() -> None:
    """Update the database's tables to this release. Safe to run again, and by several replicas at
    once.
    """
    from analytics.stores.schema import migrate as upgrade

    settings = located("DATABASE_URL")
    done = upgrade(settings.database(), settings)
    if done.changed:
        click.echo(f"migrated from {done.before or 'an empty database'} to {done.after}")
    else:
        click.echo(f"nothing to do: the tables are at {done.after}")
