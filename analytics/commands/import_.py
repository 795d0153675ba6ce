"""`analytics import`: events from files into the queue, resumable, each counted once."""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from analytics.commands.servers import located, register
from analytics.errors import CommandError
from analytics.events import DEFAULT_PROJECT
from analytics.importing.display import Display
from analytics.importing.importer import FORMATS, Importer
from analytics.importing.position import Position, keeper
from analytics.importing.rejects import Rejects
from analytics.importing.source import STDIN, opened
from analytics.importing.wait import Settlement, settle
from analytics.projects import list_projects
from analytics.queue import Queue
from analytics.redis import connect
from analytics.settings import Settings, load

SHOWN_CODES = 5


class Options(msgspec.Struct, frozen=True):
    """What was asked for on the command line."""

    project: str
    kind: str | None
    rejected: Path | None
    restart: bool
    wait: bool


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
    rejected: Path | None,
    restart: bool,
    wait: bool,
) -> None:
    """Import events from NDJSON, or from CSV with a header row; plain, gzip or bz2. - is standard
    input.

    A line of NDJSON is an event as /collect takes it. A CSV column is one of its fields:
    session_id, event_type and event_action are required; user_id, timestamp, id, metadata (JSON)
    and metadata.KEY are optional. Numbers, true, false and null in metadata.KEY keep their type.

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
    asyncio.run(
        _import(located("REDIS_URL"), files, Options(project, kind, rejected, restart, wait))
    )


def _rejected(path: str) -> Path:
    """Where the rejected lines of a file go when nothing else is said."""
    return Path(f"{'stdin' if path == STDIN else path}.rejected.ndjson")


async def _import(settings: Settings, files: Sequence[str], options: Options) -> None:
    """All files, one after the other, and what became of them. Raises CommandError when one has
    lines, but no event.
    """
    await _check_project(settings, options.project)
    logging.getLogger("analytics.queue").setLevel(
        logging.ERROR
    )  # what it would warn of is shown as what we wait for
    redis = connect(settings)
    try:
        async with Queue(redis, settings) as queue:
            before = await queue.books()
            accepted, barren = 0, []
            for path in files:
                taken, end = await _import_file(queue, settings, path, options)
                accepted += taken
                if end.rejected and not end.accepted:
                    barren.append(path)
            if options.wait and accepted:
                click.echo(
                    _outcome(
                        await settle(
                            queue, redis, before, accepted, lambda text: click.echo(text, err=True)
                        )
                    )
                )
        if barren:
            raise CommandError(f"no line of {', '.join(barren)} is an event")
    finally:
        await redis.aclose()


async def _check_project(settings: Settings, project: str) -> None:
    """Raise CommandError for a project that is not there, where the database is known: a misspelt
    name must not hide events.
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
    """One file, and its summary; how many events this run has taken, and where it ended."""
    began = time.monotonic()
    with opened(path) as source, Rejects(options.rejected or _rejected(path)) as rejects:
        kept = keeper(
            settings.data_dir,
            source.identity,
            options.project,
            options.kind,
            settings.retention_days,
            load().redis_url,
        )
        with kept.alone():
            if options.restart:
                kept.forget()
            start = kept.load() or Position()
            rejects.resume(start.rejects_size)
            if start.line:
                click.echo(
                    f"{source.name}: resuming after line {start.line:,}, where the last import "
                    "stopped; --restart starts over",
                    err=True,
                )
            with Display(source, start.line) as display:
                limits = {
                    "retention_days": settings.retention_days,
                    "max_queued": settings.max_queued_events,
                }
                importer = Importer(
                    queue, display, kept, rejects, project=options.project, **limits
                )
                try:
                    end = await importer.run(source, options.kind, start)
                except asyncio.CancelledError:
                    display.warn(
                        f"{source.name}: interrupted"
                        + ("; run the same command to resume" if source.identity else "")
                    )
                    raise
    click.echo(_summary(source.name, start, end, time.monotonic() - began, rejects, settings))
    return end.accepted - start.accepted, end


def _summary(
    name: str, start: Position, end: Position, seconds: float, rejects: Rejects, settings: Settings
) -> str:
    """What was accepted, what was rejected and why, how long it took."""
    if not end.line:
        return f"{name}: empty, nothing to import"
    accepted, rejected = (
        end.accepted - start.accepted,
        sum(end.rejected.values()) - sum(start.rejected.values()),
    )
    lines = [
        f"{name}: {accepted:,} accepted, {rejected:,} rejected in {seconds:.1f} s ({(accepted + rejected) / max(seconds, 0.001):,.0f}/s)"
    ]
    if start.line:
        lines.append(
            f"  with those before: {end.accepted:,} accepted, {sum(end.rejected.values()):,} rejected"
        )
    if end.rejected:
        codes = sorted(end.rejected.items(), key=lambda item: -item[1])
        lines.append(
            f"  rejected: {', '.join(f'{count:,} {code}' for code, count in codes[:SHOWN_CODES])}; see {rejects.path}"
        )
    if "too_old" in end.rejected and settings.retention_days:
        lines.append(
            f"  RETENTION_DAYS is {settings.retention_days}; to keep events forever, set "
            "RETENTION_DAYS=0 here and for the running platform"
        )
    return "\n".join(lines)


def _outcome(settled: Settlement) -> str:
    """What became of the events."""
    outcome = settled.outcome
    line = f"stored {outcome.stored:,}, duplicates {outcome.duplicate:,}"
    if outcome.dead_lettered:
        line += f", dead letters {outcome.dead_lettered:,} (see `analytics dead-letters list`)"
    if settled.others:
        line += f"; {settled.others:,} events that others sent meanwhile, or that were sent twice, are among them"
    return line
