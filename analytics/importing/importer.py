"""The loop of an import: read a batch of lines, judge them, append the events, write down the
others, keep the position.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from analytics.errors import CommandError, Unavailable
from analytics.events import Books, Event
from analytics.importing import judge, lines
from analytics.importing.lines import Line
from analytics.importing.position import Keeper, Position
from analytics.importing.rejects import Rejects
from analytics.importing.source import Source, damage
from analytics.importing.table import Table

BATCH_EVENTS = 5_000
BATCH_BYTES = 4 * 1024 * 1024
"""What is appended at once: what one job of the queue holds."""

DEEP = 20_000
"""Events in the queue over which an import pauses, so that what collectors bring meanwhile is
stored within about a second.
"""

ROOM_SECONDS = 0.05
STALLED_SECONDS = 10.0

SUFFIXES = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
    ".tsv": "csv",
}
FORMATS = ("ndjson", "csv")


class Sink(Protocol):
    """What an import needs of the queue."""

    async def append(self, events: list[Event]) -> None:
        """Returns when they are durable; raises Unavailable while they are refused."""

    async def books(self) -> Books:
        """What is queued; raises Unavailable."""


class Watch(Protocol):
    """Who is told how it goes."""

    def step(self, step: "Step") -> None:
        """A batch is done."""

    def note(self, text: str) -> None:
        """What holds the import up just now."""

    def warn(self, text: str) -> None:
        """What an operator should know of a file."""


class Step(NamedTuple):
    """What there is to tell of an import: bytes read of the file as it is, and how far its lines
    have come.
    """

    read: int
    position: Position


class Importer:
    """Imports one file into one project."""

    def __init__(
        self,
        queue: Sink,
        watch: Watch,
        keeper: Keeper,
        rejects: Rejects,
        *,
        project: str,
        retention_days: int,
        max_queued: int,
    ) -> None:
        self._queue = queue
        self._watch = watch
        self._keeper = keeper
        self._rejects = rejects
        self._project = project
        self._retention_days = retention_days
        self._deep = min(DEEP, max(1, max_queued // 2))

    async def run(self, source: Source, kind: str | None, start: Position) -> Position:
        """Import what comes after `start`; returns the end. Raises CommandError, with the position
        kept, when the file is broken.
        """
        position = start
        try:
            for batch in self._batches(self._read(source, kind, position)):
                position = await self._take(batch, position)
                self._keeper.save(position)
                self._watch.step(Step(source.read, position))
                await asyncio.sleep(0)  # so that Ctrl-C is heard even where no line is an event
        except Exception as error:
            if (wrong := damage(error)) is None:
                raise
            raise CommandError(
                f"{source.name} is damaged after line {position.line} ({wrong}); the lines before are imported"
            ) from error
        self._keeper.forget()
        return position

    def _read(self, source: Source, kind: str | None, position: Position) -> Iterator[Line]:
        """The lines after `position` that are not blank."""
        if (kind or _format(source)) == "csv":
            table = Table(source.stream, source.name)
            if table.ignored and position.line == 0:
                self._watch.warn(
                    f"columns ignored: {', '.join(table.ignored)}; rename them to metadata.NAME "
                    "to keep them"
                )
            found = table.rows(position.offset, position.line)
        else:
            if position.offset == 0 and _head(source).startswith(b"["):
                raise CommandError(
                    f"{source.name} is one JSON list, not an event a line: jq -c '.[]' {source.path} | analytics import -"
                )
            if position.offset:
                source.stream.seek(position.offset)
            found = lines.read(source.stream, position.offset, position.line)
        return (line for line in found if line.text or line.flaw)

    def _batches(self, source: Iterator[Line]) -> Iterator[list[Line]]:
        """Lines in groups that fit one append; the last of them also when the stream breaks, before
        its error.
        """
        batch: list[Line] = []
        size, most = 0, min(BATCH_EVENTS, self._deep)
        try:
            for line in source:
                batch.append(line)
                size += len(line.source)
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

    async def _take(self, batch: list[Line], position: Position) -> Position:
        chain: list[bytes] = []
        for line in batch:
            chain.append(judge.link(chain[-1] if chain else position.chain, line))
        judged = judge.judge(batch, chain, datetime.now(UTC), self._project, self._retention_days)
        if judged.events:
            await self._room(len(judged.events))
            await self._append(judged.events)
        self._rejects.write(judged.rejected)
        return Position(
            offset=batch[-1].end,
            line=batch[-1].last,
            chain=chain[-1],
            accepted=position.accepted + len(judged.events),
            rejected=dict(
                Counter(position.rejected) + Counter(flaw.code for _, flaw in judged.rejected)
            ),
            rejects_size=self._rejects.size,
        )

    async def _room(self, events: int) -> None:
        """Wait until the queue is shallow enough."""
        waited, before = 0.0, -1
        while (queued := await self._queued()) and queued + events > self._deep:
            waited = waited + ROOM_SECONDS if queued == before else 0.0
            if waited >= STALLED_SECONDS:
                self._watch.note(
                    f"{queued} events wait in the queue and none is being stored: does a processor run?"
                )
                waited = 0.0
            before = queued
            await asyncio.sleep(ROOM_SECONDS)

    async def _queued(self) -> int:
        while True:
            try:
                return (await self._queue.books()).queued
            except Unavailable as error:
                await self._pause(error)

    async def _append(self, events: list[Event]) -> None:
        """Append, as often as it takes; what an append of which no answer came has queued is a
        duplicate later, by its ids.
        """
        while True:
            try:
                return await self._queue.append(events)
            except Unavailable as error:
                await self._pause(error)

    async def _pause(self, error: Unavailable) -> None:
        self._watch.note(f"waiting: {error.message}")
        await asyncio.sleep(error.retry_after)


def _format(source: Source) -> str:
    """By the name, below that of the compression; else by the first byte."""
    name = source.path.lower().removesuffix(".gz").removesuffix(".bz2")
    for suffix, kind in SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    head = _head(source)
    return "ndjson" if head[:1] in (b"{", b"[", b"") else "csv"


def _head(source: Source) -> bytes:
    """The first bytes, left to be read again."""
    found: bytes = source.stream.peek(256)  # type: ignore[attr-defined]  # all our streams can
    return found.removeprefix(lines.BOM).lstrip()
