"""`analytics import`: put the events of files into the queue; resumable, each counted once."""

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from redis.asyncio import Redis

from analytics import tasks
from analytics.commands.servers import located, require_projects
from analytics.commands.typed import Typed, typed
from analytics.errors import CommandError
from analytics.events import DEFAULT_PROJECT
from analytics.importing.files import Options, complain, import_file, rejected_lines
from analytics.importing.formats import FORMATS
from analytics.importing.input_file import STDIN
from analytics.importing.mapping import FIELDS, Mapping, is_field
from analytics.importing.summary import outcome
from analytics.importing.wait import wait_until_stored
from analytics.projects import is_project
from analytics.queue import Queue
from analytics.redis import RedisProjects, connect
from analytics.settings import Settings
from analytics.terminal import say
from analytics.zones import zone


def _pairs(
    _: click.Context, option: click.Parameter, texts: Sequence[str]
) -> list[tuple[str, str]]:
    """`A=B` of an option that may be repeated → (A, B)."""
    if wrong := [text for text in texts if "=" not in text]:
        raise click.BadParameter(f"{wrong[0]!r} has no `=`", param=option)
    pairs = [(name, value) for name, _, value in (text.partition("=") for text in texts)]
    fields = [pair[1 if option.name == "names" else 0] for pair in pairs]
    if unknown := [field for field in fields if not is_field(field)]:
        known = ", ".join((*FIELDS, "metadata.KEY"))
        raise click.BadParameter(f"{unknown[0]!r} is no field; they are {known}", param=option)
    return pairs


def _zone(_: click.Context, option: click.Parameter, name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else zone(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from error


@click.command("import", cls=Typed)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE…",
)
@click.option(
    "--project",
    default=DEFAULT_PROJECT,
    show_default=True,
    help="Project of the events.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="Format of the files.  [default: by the file's name, else by its first bytes]",
)
@click.option(
    "--map",
    "names",
    multiple=True,
    callback=_pairs,
    metavar="THEIRS=OURS",
    help="Read their field or column as ours, such as visitor=user_id or url=metadata.page; "
    "may be repeated.",
)
@click.option(
    "--set",
    "constants",
    multiple=True,
    callback=_pairs,
    metavar="OURS=VALUE",
    help="Give a field this value in every event, such as event_type=page; may be repeated.",
)
@click.option(
    "--tz",
    callback=_zone,
    metavar="ZONE",
    help="Zone of times without an offset, such as Europe/Berlin.",
)
@click.option(
    "--rejected",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for rejected lines.  [default: FILE.rejected.ndjson]",
)
@click.option(
    "--restart", is_flag=True, help="Start over instead of resuming an interrupted import."
)
@click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait until all events are stored, and print the outcome.",
)
@click.pass_context
def import_(
    context: click.Context,
    files: Sequence[str],
    project: str,
    kind: str | None,
    names: Sequence[tuple[str, str]],
    constants: Sequence[tuple[str, str]],
    tz: ZoneInfo | None,
    rejected: Path | None,
    restart: bool,
    wait: bool,
) -> None:
    """Import events from NDJSON, or from CSV with a header row; plain, gzip or bz2. - is standard
    input.

    A line of NDJSON is an event as /collect takes it. A CSV column is one of its fields:
    session_id, event_type and event_action are required; user_id, timestamp, id, metadata (JSON)
    and metadata.KEY are optional. Numbers, true, false, null, lists and objects in metadata.KEY
    keep their type. --map and --set make other files fit.

    Importing a file again is harmless. An interrupted import resumes where it stopped. An event
    without id gets one computed from the lines up to its own, so it is the same event the next
    time. An event without timestamp gets the time of import.
    """
    if rejected and len(files) > 1:
        raise click.UsageError("--rejected is for a single FILE")
    _check_apart(files, [rejected or rejected_lines(path) for path in files])
    try:
        mapping = Mapping.of(names, constants, tz)
    except ValueError as error:
        raise click.UsageError(f"--set {error}") from error
    command = shlex.join(["analytics", "import", *typed(context), STDIN])
    options = Options(project, kind, rejected, restart, mapping, command)
    tasks.run(_import(located("REDIS_URL"), files, options, wait=wait))


def _check_apart(files: Sequence[str], outputs: Sequence[Path]) -> None:
    """Raises UsageError for a file that would be overwritten while it is imported."""
    inputs = {_identity(Path(path)) for path in files if path != STDIN}
    for output in outputs:
        if output.exists() and _identity(output) in inputs:
            raise click.UsageError(
                f"{output} is the file for rejected lines, so it cannot be imported too"
            )


def _identity(path: Path) -> tuple[int, int]:
    """What two names of one file have in common."""
    facts = path.stat()
    return facts.st_dev, facts.st_ino


async def _import(
    settings: Settings, files: Sequence[str], options: Options, *, wait: bool
) -> None:
    """Import all files, one after the other; with `wait`, print what became of their events.

    Raises CommandError when lines were rejected.
    """
    # the queue's warnings repeat what the display shows: why the import waits
    logging.getLogger("analytics.queue").setLevel(logging.ERROR)
    redis = connect(settings)
    try:
        await _check_project(settings, redis, options.project)
        async with Queue(redis, settings) as queue:
            before = await queue.books()
            imported = [await import_file(queue, settings, path, options) for path in files]
            accepted = sum(file.accepted for file in imported)
            if wait and accepted:
                result = await wait_until_stored(queue, redis, before, accepted, _note)
                say(*outcome(result, options.mapping))
        complain(imported)
    finally:
        await redis.aclose()


def _note(text: str) -> None:
    say(text, err=True)


async def _check_project(settings: Settings, redis: Redis, project: str) -> None:
    """Raises CommandError for an unknown project: a misspelt name must not hide events.

    Without DATABASE_URL the mirror in Redis is asked. Says so if that does not know either.
    """
    if project == DEFAULT_PROJECT:
        return
    if settings.database_url:
        await require_projects(settings, [project])
        return
    known = await RedisProjects(redis).knows(project)
    if known is None and is_project(project):
        _note(
            f"nobody here knows whether there is a project {project}: DATABASE_URL is not set, and "
            "no processor has written the projects to Redis yet. If there is none, "
            f"`analytics projects create {project}` makes its events visible"
        )
    elif not known:
        raise CommandError(
            f"there is no project {project}; `analytics projects create {project}` makes it"
        )
