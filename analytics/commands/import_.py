"""`analytics import`: put the events of files into the queue; resumable, each counted once."""

import asyncio
import logging
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec
from redis.asyncio import Redis

from analytics import tasks
from analytics.commands.servers import located, register
from analytics.commands.typed import Typed, typed
from analytics.errors import CommandError
from analytics.events import DEFAULT_PROJECT
from analytics.importing.display import Display
from analytics.importing.formats import FORMATS
from analytics.importing.importer import Importer
from analytics.importing.input_file import STDIN, opened
from analytics.importing.mapping import FIELDS, PLAIN, Mapping, is_field
from analytics.importing.position import Position, keeper_of
from analytics.importing.rejects import Rejects
from analytics.importing.summary import nowhere, outcome, summary
from analytics.importing.wait import wait_until_stored
from analytics.projects import is_project, list_projects
from analytics.queue import Queue
from analytics.redis import RedisProjects, connect
from analytics.settings import Settings, load
from analytics.terminal import say
from analytics.zones import zone


class Options(msgspec.Struct, frozen=True):
    """The options of the command line, except the files."""

    project: str
    kind: str | None
    """The format: "ndjson" or "csv"; None to find out."""
    rejected: Path | None
    """Where rejected lines go; None for a file beside each."""
    restart: bool
    wait: bool
    mapping: Mapping
    command: str
    """The command that imports standard input with these options."""


class Imported(msgspec.Struct, frozen=True):
    """What came of one file."""

    path: str
    accepted: int
    """Events that were accepted now."""
    end: Position
    missing: Sequence[str]
    """The mapped fields that no line has."""


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
    for output in (rejected or _rejected(path) for path in files):
        if any(path != STDIN and output.exists() and output.samefile(path) for path in files):
            raise click.UsageError(
                f"{output} is the file for rejected lines, so it cannot be imported too"
            )
    try:
        mapping = Mapping.of(names, constants, tz)
    except ValueError as error:
        raise click.UsageError(f"--set {error}") from error
    command = shlex.join(["analytics", "import", *typed(context), STDIN])
    options = Options(project, kind, rejected, restart, wait, mapping, command)
    tasks.run(_import(located("REDIS_URL"), files, options))


def _rejected(path: str) -> Path:
    """Where the rejected lines of a file go by default."""
    return Path(f"{'stdin' if path == STDIN else path}.rejected.ndjson")


def _rejects(path: str, options: Options) -> Rejects:
    return Rejects(options.rejected or _rejected(path), named=options.rejected is not None)


async def _import(settings: Settings, files: Sequence[str], options: Options) -> None:
    """Import all files, one after the other, and print the outcome.

    Raises CommandError when lines were rejected.
    """
    # the queue's warnings repeat what the display shows: why the import waits
    logging.getLogger("analytics.queue").setLevel(logging.ERROR)
    redis = connect(settings)
    try:
        await _check_project(settings, redis, options.project)
        async with Queue(redis, settings) as queue:
            before = await queue.books()
            imported = [await _import_file(queue, settings, path, options) for path in files]
            accepted = sum(file.accepted for file in imported)
            if options.wait and accepted:
                result = await wait_until_stored(queue, redis, before, accepted, _note)
                say(*outcome(result, options.mapping))
        _complain(imported)
    finally:
        await redis.aclose()


def _complain(files: Sequence[Imported]) -> None:
    """Raises CommandError for rejected lines, and for mapped fields that are in no file."""
    if empty := [file.path for file in files if file.end.rejected and not file.end.accepted]:
        raise CommandError(f"no line of {', '.join(empty)} is an event")
    filled = [set(file.missing) for file in files if file.end.line]
    if missing := set.intersection(*filled) if filled else ():
        raise CommandError(f"{nowhere(sorted(missing))}; all events are imported without")
    refused = sum(sum(file.end.rejected.values()) for file in files)
    if refused:
        n = "1 line was" if refused == 1 else f"{refused:,} lines were"
        raise CommandError(f"{n} rejected; all others are imported")


def _note(text: str) -> None:
    say(text, err=True)


async def _check_project(settings: Settings, redis: Redis, project: str) -> None:
    """Raises CommandError for an unknown project: a misspelt name must not hide events.

    Without DATABASE_URL the mirror in Redis is asked. Says so if that does not know either.
    """
    if project == DEFAULT_PROJECT:
        return
    if settings.database_url:
        async with register(settings) as engine:
            known = project in [name for name, _ in await list_projects(engine)]
    elif (found := await RedisProjects(redis).knows(project)) is None and is_project(project):
        _note(
            f"nobody here knows whether there is a project {project}: DATABASE_URL is not set, and "
            "no processor has written the projects to Redis yet. If there is none, "
            f"`analytics projects create {project}` makes its events visible"
        )
        return
    else:
        known = bool(found)
    if not known:
        raise CommandError(
            f"there is no project {project}; `analytics projects create {project}` makes it"
        )


async def _import_file(queue: Queue, settings: Settings, path: str, options: Options) -> Imported:
    """Import one file and print its summary."""
    start_s = time.monotonic()
    with opened(path, options.command) as file, _rejects(path, options) as rejects:
        keeper = keeper_of(
            settings.data_dir,
            file.identity,
            options.project,
            options.kind,
            settings.retention_days,
            load().redis_url,
            *(() if options.mapping == PLAIN else (options.mapping,)),
        )
        with keeper.alone():
            if options.restart:
                keeper.forget()
            start = keeper.load() or Position()
            rejects.resume(start.rejects_size)
            if start.line:
                _note(
                    f"{file.name}: resuming after line {start.line:,}, where the last import "
                    "stopped; --restart starts over"
                )
            with Display(file, start.line) as display:
                importer = Importer(
                    queue,
                    display,
                    keeper,
                    rejects,
                    project=options.project,
                    retention_days=settings.retention_days,
                    max_event_bytes=settings.max_event_bytes,
                    max_queued=settings.max_queued_events,
                    mapping=options.mapping,
                )
                try:
                    end = await importer.run(file, options.kind, start)
                except asyncio.CancelledError:
                    hint = "; run the same command to resume" if file.identity else ""
                    display.warn(f"{file.name}: interrupted{hint}")
                    raise
    seconds = time.monotonic() - start_s
    lines = summary(
        file.name,
        start,
        end,
        importer.missing,
        seconds,
        rejects.path,
        settings.retention_days,
        options.mapping,
    )
    say(*lines)
    return Imported(path, end.accepted - start.accepted, end, importer.missing)
