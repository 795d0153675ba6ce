"""The loop of an import: read, judge, append events, write rejects, save the position."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from analytics.errors import CommandError, Unavailable
from analytics.events import Books, Event
from analytics.importing import formats, judge, lines
from analytics.importing.input_file import InputFile, damage
from analytics.importing.lines import InputLine
from analytics.importing.mapping import PLAIN, Mapping
from analytics.importing.position import Keeper, Position
from analytics.importing.rejects import Rejects
from analytics.importing.stall import Stall
from analytics.importing.summary import nowhere
from analytics.importing.table import LONG_ROW_LINES, CsvTable
from analytics.protocols.protocol import MAX_EVENT_BYTES

BATCH_EVENTS = 5_000
BATCH_BYTES = 4 * 1024 * 1024
"""Limits of one append: what one job of the queue holds."""

PAUSE_QUEUED_EVENTS = 20_000
"""An import pauses while more events wait in the queue.

Events that collectors accept meanwhile are then stored within about a second.
"""

SHOWN_LONG_ROWS = 10

ROOM_SECONDS = 0.05


class ImportQueue(Protocol):
    """What an import needs of the queue."""

    async def append(self, events: list[Event]) -> None:
        """Returns when the events are durable; raises Unavailable when they are refused."""

    async def books(self) -> Books:
        """The books, with how many events are queued; raises Unavailable."""


class Watch(Protocol):
    """Shows how an import goes; `display.Display` is one."""

    def advance(self, read_bytes: int, position: Position) -> None:
        """A batch is done: bytes read of the (compressed) file, and where its lines end."""

    def note(self, text: str) -> None:
        """Why the import waits just now."""

    def warn(self, text: str) -> None:
        """What an operator should know about the file."""


class Importer:
    """Imports one file into one project."""

    def __init__(
        self,
        queue: ImportQueue,
        watch: Watch,
        keeper: Keeper,
        rejects: Rejects,
        *,
        project: str,
        retention_days: int,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_queued: int,
        mapping: Mapping = PLAIN,
    ) -> None:
        self._queue = queue
        self._watch = watch
        self._keeper = keeper
        self._rejects = rejects
        self._project = project
        self._retention_days = retention_days
        self._mapping = mapping
        self._max_event_bytes = max_event_bytes
        self.missing: list[str] = []
        """The mapped fields that no line had so far."""
        self._max_queued = min(PAUSE_QUEUED_EVENTS, max(1, max_queued // 2))

    async def run(self, file: InputFile, kind: str | None, start: Position) -> Position:
        """Import the lines after `start`; the position of the end.

        Raises CommandError when the file is damaged; its position is then saved.
        """
        position = start
        try:
            kind = kind or formats.format_of(file)
            # a table maps its columns itself
            mapping = Mapping(zone=self._mapping.zone) if kind == "csv" else self._mapping
            self.missing = mapping.missing(position.found)
            for number, batch in enumerate(self._batches(self._read(file, kind, position))):
                if number == 1 and self.missing:
                    self._watch.warn(f"{nowhere(self.missing)}, so far; Ctrl-C stops the import")
                position = await self._import(batch, position, mapping)
                self.missing = mapping.missing(position.found)
                self._keeper.save(position)
                self._watch.advance(file.read_bytes, position)
                # a batch without events awaits nothing: let Ctrl-C cancel here
                await asyncio.sleep(0)
        except Exception as error:
            if (wrong := damage(error)) is None:
                raise
            raise CommandError(
                f"{file.name} is damaged after line {position.line} ({wrong}); "
                "the lines before are imported"
            ) from error
        self._keeper.forget()
        return position

    def _read(self, file: InputFile, kind: str, position: Position) -> Iterator[InputLine]:
        """The lines after `position` that are not blank."""
        if position.offset == 0:
            formats.check(file, kind)
        if kind == "csv":
            rows = self._read_table(file, position)
        else:
            if position.offset:
                file.stream.seek(position.offset)
            rows = lines.read(file.stream, position.offset, position.line)
        return (line for line in rows if line.text or line.flaw)

    def _read_table(self, file: InputFile, position: Position) -> Iterator[InputLine]:
        """The rows after `position`; says what is odd about the columns and about long rows."""
        table = CsvTable(file.stream, file.name, self._mapping)
        if table.ignored and position.line == 0:
            self._watch.warn(
                f"columns ignored: {', '.join(table.ignored)}; rename them to metadata.NAME, or "
                "use --map, to keep them"
            )
        if table.repeated and position.line == 0:
            columns = ", ".join(table.repeated)
            self._watch.warn(
                f"columns that stand twice: {columns}; of each the last that is not empty counts"
            )
        long_rows = 0
        for row in table.rows(position.offset, position.line):
            if row.last - row.number >= LONG_ROW_LINES:
                long_rows += 1
                self._warn_of_long_row(row, long_rows)
            yield row

    def _warn_of_long_row(self, row: InputLine, number: int) -> None:
        """Show the first long rows of a file, and that there are more."""
        if number <= SHOWN_LONG_ROWS:
            self._watch.warn(
                f"line {row.number}: a row of {row.last - row.number + 1} lines; "
                "if it should be shorter, a quote is missing or one too many"
            )
        elif number == SHOWN_LONG_ROWS + 1:
            self._watch.warn("more such rows are not shown")

    def _batches(self, rows: Iterator[InputLine]) -> Iterator[list[InputLine]]:
        """Lines in groups that fit one append.

        When the stream breaks, the lines before are yielded first, then its error is raised.
        """
        batch: list[InputLine] = []
        size, most = 0, min(BATCH_EVENTS, self._max_queued)
        try:
            for line in rows:
                batch.append(line)
                size += max(len(line.raw), len(line.text))  # the JSON repeats a table's long header
                if len(batch) >= most or size >= BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
        except Exception as error:
            if damage(error) is None or not batch:
                raise
            yield batch
            raise
        if batch:
            yield batch

    async def _import(
        self, batch: list[InputLine], position: Position, mapping: Mapping
    ) -> Position:
        """Append the events of a batch, write its rejects; the position after it."""
        chain: list[bytes] = []
        for line in batch:
            chain.append(judge.link(chain[-1] if chain else position.chain, line))
        now = datetime.now(UTC)
        events, rejected, found = judge.judge(
            batch,
            chain,
            now,
            self._project,
            self._retention_days,
            mapping,
            self._max_event_bytes,
        )
        if events:
            await self._wait_for_room(len(events))
            await self._append(events)
        self._rejects.write(rejected)
        codes = Counter(flaw.code for _, flaw in rejected)
        return Position(
            offset=batch[-1].end,
            line=batch[-1].last,
            chain=chain[-1],
            accepted=position.accepted + len(events),
            rejected=dict(Counter(position.rejected) + codes),
            rejects_size=self._rejects.size_bytes,
            found=tuple(sorted({*position.found, *found})),
        )

    async def _wait_for_room(self, events: int) -> None:
        """Wait until the queue has room for this many events below its limit, or is empty."""
        stall = Stall(self._watch.note)
        while (queued := await self._queued()) and queued + events > self._max_queued:
            await stall.pause(queued, ROOM_SECONDS)

    async def _queued(self) -> int:
        while True:
            try:
                return (await self._queue.books()).queued
            except Unavailable as error:
                await self._pause(error)

    async def _append(self, events: list[Event]) -> None:
        """Append, retrying for as long as the queue is unavailable.

        An append whose reply was lost may have queued the events: the retry is then a duplicate,
        recognized by its ids.
        """
        while True:
            try:
                return await self._queue.append(events)
            except Unavailable as error:
                await self._pause(error)

    async def _pause(self, error: Unavailable) -> None:
        self._watch.note(f"waiting: {error.message}")
        await asyncio.sleep(error.retry_after)
