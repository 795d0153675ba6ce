"""`analytics import`: put the events of files into the queue; resumable, each counted once."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from analytics import tasks
from analytics.commands.servers import located, register
from analytics.errors import CommandError
from analytics.events import DEFAULT_PROJECT
from analytics.importing.display import Display
from analytics.importing.importer import FORMATS, Importer
from analytics.importing.input_file import STDIN, opened
from analytics.importing.mapping import FIELDS, PLAIN, Mapping, is_field
from analytics.importing.position import Position, keeper_of
from analytics.importing.rejects import Rejects
from analytics.importing.wait import ImportResult, wait_until_stored
from analytics.projects import list_projects
from analytics.queue import Queue
from analytics.redis import connect
from analytics.settings import Settings, load
from analytics.terminal import say
from analytics.zones import zone

SHOWN_CODES = 5
"""Reasons for rejection in the summary of a file, the most frequent first."""


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


def _pairs(_: click.Context, option: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    """`A=B` of an option that may be repeated → {A: B}."""
    pairs = dict(text.partition("=")[::2] for text in texts)
    if wrong := [text for text in texts if "=" not in text]:
        raise click.BadParameter(f"{wrong[0]!r} has no `=`", param=option)
    fields = pairs.values() if option.name == "names" else pairs.keys()
    if unknown := [field for field in fields if not is_field(field)]:
        known = ", ".join((*FIELDS, "metadata.KEY"))
        raise click.BadParameter(f"{unknown[0]!r} is no field; they are {known}", param=option)
    return pairs


def _zone(_: click.Context, option: click.Parameter, name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else zone(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from error


@click.command("import")
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
def import_(
    files: Sequence[str],
    project: str,
    kind: str | None,
    names: dict[str, str],
    constants: dict[str, str],
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
    options = Options(project, kind, rejected, restart, wait, Mapping(names, constants, tz))
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
    await _check_project(settings, options.project)
    # the queue's warnings repeat what the display shows: why the import waits
    logging.getLogger("analytics.queue").setLevel(logging.ERROR)
    redis = connect(settings)
    try:
        async with Queue(redis, settings) as queue:
            before = await queue.books()
            accepted, refused, without_events = 0, 0, []
            for path in files:
                accepted_of_file, end = await _import_file(queue, settings, path, options)
                accepted += accepted_of_file
                refused += sum(end.rejected.values())
                if end.rejected and not end.accepted:
                    without_events.append(path)
            if options.wait and accepted:
                result = await wait_until_stored(queue, redis, before, accepted, _note)
                say(_outcome(result))
        if without_events:
            raise CommandError(f"no line of {', '.join(without_events)} is an event")
        if refused:
            n = "1 line was" if refused == 1 else f"{refused:,} lines were"
            raise CommandError(f"{n} rejected; all others are imported")
    finally:
        await redis.aclose()


def _note(text: str) -> None:
    say(text, err=True)


async def _check_project(settings: Settings, project: str) -> None:
    """Raises CommandError for an unknown project: a misspelt name must not hide events.

    Without DATABASE_URL nothing is checked.
    """
    if project == DEFAULT_PROJECT or not settings.database_url:
        return
    async with register(settings) as engine:
        if project not in [name for name, _ in await list_projects(engine)]:
            raise CommandError(
                f"there is no project {project}; `analytics projects create {project}` makes it"
            )


async def _import_file(
    queue: Queue, settings: Settings, path: str, options: Options
) -> tuple[int, Position]:
    """Import one file and print its summary; the events accepted now, and the end position."""
    start_s = time.monotonic()
    with opened(path) as file, _rejects(path, options) as rejects:
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
    say(*_summary(file.name, start, end, seconds, rejects, settings, options))
    return end.accepted - start.accepted, end


def _summary(
    name: str,
    start: Position,
    end: Position,
    seconds: float,
    rejects: Rejects,
    settings: Settings,
    options: Options,
) -> list[str]:
    """What was accepted, what was rejected and why, how long it took; a line each."""
    if not end.line:
        return [f"{name}: empty, nothing to import"]
    total = sum(end.rejected.values())
    accepted = end.accepted - start.accepted
    rejected = total - sum(start.rejected.values())
    rate = (accepted + rejected) / max(seconds, 0.001)
    lines = [
        f"{name}: {accepted:,} accepted, {rejected:,} rejected in {seconds:.1f} s ({rate:,.0f}/s)"
    ]
    if start.line:
        lines.append(f"  with those before: {end.accepted:,} accepted, {total:,} rejected")
    if end.rejected:
        counts = Counter(end.rejected).most_common(SHOWN_CODES)
        reasons = ", ".join(f"{count:,} {code}" for code, count in counts)
        lines.append(f"  rejected: {reasons}; see {rejects.path}")
    if "bad_timestamp" in end.rejected and options.mapping.zone is None:
        lines.append("  times without an offset need their zone, such as --tz Europe/Berlin")
    if "too_old" in end.rejected and settings.retention_days:
        lines.append(
            f"  RETENTION_DAYS is {settings.retention_days}; to keep events forever, set "
            "RETENTION_DAYS=0 here and for the running platform"
        )
    return lines


def _outcome(result: ImportResult) -> str:
    """What became of the events."""
    outcome = result.outcome
    line = f"stored {outcome.stored:,}, duplicates {outcome.duplicate:,}"
    if outcome.dead_lettered:
        line += f", dead letters {outcome.dead_lettered:,} (see `analytics dead-letters list`)"
    if result.others:
        line += (
            f"; {result.others:,} events that others sent meanwhile, "
            "or that were sent twice, are among them"
        )
    return line
