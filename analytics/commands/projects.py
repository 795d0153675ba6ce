"""`analytics projects`: make and list the projects, each a tenant of its own."""

from datetime import datetime

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics import tasks
from analytics.commands.output import as_json, columns, instant
from analytics.commands.servers import change_register, located, register
from analytics.errors import CommandError
from analytics.projects import create_project, list_projects
from analytics.terminal import say


@click.group()
def projects() -> None:
    """Create and list projects."""


@projects.command()
@click.argument("name")
def create(name: str) -> None:
    """Create the project NAME."""

    async def change(engine: AsyncEngine) -> None:
        if not await create_project(engine, name):
            raise CommandError(f"there is a project {name} already")

    tasks.run(change_register(located("DATABASE_URL"), change))
    say(
        f"made project {name}; `analytics keys create --project {name} --scope ingest` "
        "makes a key to send it events"
    )


@projects.command("list")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def list_(json_: bool) -> None:
    """List the projects."""

    async def work() -> list[tuple[str, datetime]]:
        async with register(located("DATABASE_URL")) as engine:
            return await list_projects(engine)

    rows = tasks.run(work())
    if json_:
        as_json([{"name": name, "created_at": created_at} for name, created_at in rows])
    else:
        columns(("NAME", "CREATED"), [(name, instant(created, "-")) for name, created in rows])
