"""The files of one import, one after the other: each opened, resumed, imported and summed up."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from analytics.errors import CommandError
from analytics.importing.display import Display
from analytics.importing.importer import Importer, ImportQueue
from analytics.importing.input_file import STDIN, InputFile, opened
from analytics.importing.mapping import PLAIN, Mapping
from analytics.importing.position import Keeper, Position, keeper_of
from analytics.importing.rejects import Rejects
from analytics.importing.summary import nowhere, summary
from analytics.settings import Settings, load
from analytics.terminal import say


class Options(msgspec.Struct, frozen=True):
    """What is said of all files at once."""

    project: str
    kind: str | None
    """The format: "ndjson" or "csv"; None to find out."""
    rejected: Path | None
    """Where rejected lines go; None for a file beside each."""
    restart: bool
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


def rejected_lines(path: str) -> Path:
    """Where the rejected lines of a file go by default."""
    return Path(f"{'stdin' if path == STDIN else path}.rejected.ndjson")


async def import_file(
    queue: ImportQueue, settings: Settings, path: str, options: Options
) -> Imported:
    """Import one file and print its summary."""
    start_s = time.monotonic()
    with opened(path, options.command) as file, _rejects(path, options) as rejects:
        keeper = _keeper(file, settings, options)
        with keeper.alone():
            if options.restart:
                keeper.forget()
            start = keeper.load() or Position()
            rejects.resume(start.rejects_size)
            if start.line:
                say(
                    f"{file.name}: resuming after line {start.line:,}, where the last import "
                    "stopped; --restart starts over",
                    err=True,
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
    days, mapping = settings.retention_days, options.mapping
    missing = importer.missing
    say(*summary(file.name, start, end, missing, seconds, rejects.path, days, mapping))
    return Imported(path, end.accepted - start.accepted, end, missing)


def _rejects(path: str, options: Options) -> Rejects:
    named = options.rejected is not None
    return Rejects(options.rejected or rejected_lines(path), named=named)


def _keeper(file: InputFile, settings: Settings, options: Options) -> Keeper:
    """Whoever imports the file with the same options goes on where this import stops.

    Into the same Redis, too; that of an `analytics run` has another URL each time, and counts as
    none.
    """
    return keeper_of(
        settings.data_dir,
        file.identity,
        options.project,
        options.kind,
        settings.retention_days,
        load().redis_url,
        *(() if options.mapping == PLAIN else (options.mapping,)),
    )


def complain(files: Sequence[Imported]) -> None:
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
