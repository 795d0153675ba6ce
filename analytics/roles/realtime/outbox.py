"""Messages that wait for one reader, in bounded memory: a slow reader loses only its own events."""

import asyncio
from collections import deque
from typing import ClassVar, NamedTuple
from weakref import WeakSet

import msgspec
from msgspec import Raw

from analytics import metrics
from analytics.roles.realtime.messages import EventMessage, GapMessage, Message

MAX_MESSAGES = 5_000
MAX_BYTES = 1 << 20
"""Of the messages that wait for one reader."""

MAX_PROCESS_BYTES = 64 << 20
"""Of all that wait in a process; its readers share it equally."""

TAKE_MESSAGES = 50
TAKE_BYTES = 64 << 10
"""Of the messages that are written at once: each reader has a copy of its own. One always goes."""


class QueuedMessage(msgspec.Struct, frozen=True, gc=False):
    """A message that waits, and the project's position by then."""

    message: Message | None
    """None is a heartbeat, which tells only the position."""
    position: int | None = None
    """How many events the project has had."""

    @property
    def kind(self) -> str:
        """The metrics' word for it."""
        return "heartbeat" if self.message is None else self.message.kind

    @property
    def size_bytes(self) -> int:
        return 0 if self.message is None else self.message.size_bytes


class _Gap(NamedTuple):
    missed: int
    position: int


class Outbox:
    """A queue of messages whose writers never wait.

    Events are dropped and counted when it is full. Replies always find room, because each one
    answers a request, and a reader with a full outbox is not read from.
    """

    _alive: ClassVar[WeakSet["Outbox"]] = WeakSet()

    def __init__(self) -> None:
        self._alive.add(self)
        self._waiting: deque[QueuedMessage] = deque()
        self._size_bytes = 0
        self._gaps: dict[str, _Gap] = {}
        self._position: int | None = None
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def full(self) -> bool:
        share = min(MAX_BYTES, MAX_PROCESS_BYTES // len(self._alive))
        return len(self._waiting) >= MAX_MESSAGES or self._size_bytes >= share

    @property
    def position(self) -> int | None:
        """The project's position; None while messages up to it still wait."""
        return None if self._waiting or self._gaps else self._position

    def advance(self, position: int) -> None:
        """Note that the project's events up to here were looked at, whatever the filter said."""
        self._position = position

    def put(self, message: Message | None, position: int | None = None) -> None:
        """Add a message (or a heartbeat), whether there is room or not."""
        entry = QueuedMessage(message, position)
        self._waiting.append(entry)
        self._size_bytes += entry.size_bytes
        self._filled.set()
        if self.full:
            self._room.clear()

    def offer(self, id_: str, event: Raw, position: int) -> None:
        """Add an event, or count it as missed; a gap before it is sent first."""
        if self.full:
            return self.miss(id_, 1, position)
        if id_ in self._gaps:
            self._put_gap(id_)
        return self.put(EventMessage(id_, event), position)

    def miss(self, id_: str, number: int, position: int) -> None:
        """Count events that a subscription missed.

        Its reader gets the gap before the next event, or as soon as nothing else waits.
        """
        missed = self._gaps[id_].missed if id_ in self._gaps else 0
        self._gaps[id_] = _Gap(missed + number, position)
        self._filled.set()

    def forget(self, id_: str) -> None:
        """Drop what waits for a subscription that has ended."""
        self._gaps.pop(id_, None)
        self._waiting = deque(
            entry for entry in self._waiting if entry.message is None or entry.message.id != id_
        )
        self._size_bytes = sum(entry.size_bytes for entry in self._waiting)
        if not self.full:
            self._room.set()

    async def room(self) -> None:
        """Wait until the outbox is not full."""
        await self._room.wait()

    async def take(self) -> list[QueuedMessage]:
        """Wait for messages, and take those that are written at once."""
        await self._filled.wait()
        if not self._waiting:
            for id_ in tuple(self._gaps):
                self._put_gap(id_)
        entries: list[QueuedMessage] = []
        size_bytes = 0
        while self._waiting and len(entries) < TAKE_MESSAGES:
            size_bytes += self._waiting[0].size_bytes
            if entries and size_bytes > TAKE_BYTES:
                break
            self._size_bytes -= self._waiting[0].size_bytes
            entries.append(self._waiting.popleft())
        if not self._waiting and not self._gaps:
            self._filled.clear()
        if not self.full:
            self._room.set()
        return entries

    def _put_gap(self, id_: str) -> None:
        missed, position = self._gaps.pop(id_)
        metrics.realtime_missed.add({}, missed)
        self.put(GapMessage(id_, missed), position)
