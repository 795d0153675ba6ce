"""What waits to be sent to one reader: bounded, so that a slow one costs only itself; what finds no
room is skipped and counted.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from analytics import metrics

MAX_MESSAGES = 5_000
MAX_BYTES = 1 << 20
GROUP = 50


class Message(NamedTuple):
    """One message as every transport frames it in its own way."""

    kind: str
    id: str | None = None
    """The subscription that it belongs to."""
    fields: str = ""
    """What else the JSON object holds, without braces; shared by all readers of one event."""
    position: int | None = None
    """How many events the project has had by then."""


class _Gap(NamedTuple):
    missed: int
    position: int


class Outbox:
    """A queue of messages whose writers never wait. Events find no room in a full one; replies do,
    for each answers one request.
    """

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._gaps: dict[str, _Gap] = {}
        self._seen: int | None = None
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def full(self) -> bool:
        return len(self._waiting) >= MAX_MESSAGES or self._bytes >= MAX_BYTES

    @property
    def position(self) -> int | None:
        """Where the project stands, unless something is still to be told from before."""
        return None if self._waiting or self._gaps else self._seen

    def see(self, position: int) -> None:
        """The project's events up to here have been looked at, whether they passed a filter or not."""
        self._seen = position

    def put(self, message: Message) -> None:
        """Add a message, whether there is room or not."""
        self._waiting.append(message)
        self._bytes += len(message.fields)
        self._filled.set()
        if self.full:
            self._room.clear()

    def offer(self, id_: str, fields: str, position: int) -> None:
        """Add an event, or count it as missed; after a gap, the reader is told of the gap first."""
        if self.full:
            return self.miss(id_, 1, position)
        if id_ in self._gaps:
            self._tell(id_)
        return self.put(Message("event", id_, fields, position))

    def miss(self, id_: str, number: int, position: int) -> None:
        """Count events that a subscription missed; told before its next event, or as soon as the
        reader has caught up.
        """
        missed = self._gaps[id_].missed if id_ in self._gaps else 0
        self._gaps[id_] = _Gap(missed + number, position)
        self._filled.set()

    def forget(self, id_: str) -> None:
        """Drop all that waits for a subscription that has ended."""
        self._gaps.pop(id_, None)
        self._waiting = deque(message for message in self._waiting if message.id != id_)
        self._bytes = sum(len(message.fields) for message in self._waiting)
        self._room.set()

    async def room(self) -> None:
        """Wait until the outbox is not full: who asks faster than it reads the answers is not read
        from.
        """
        await self._room.wait()

    async def take(self) -> list[Message]:
        """Wait for messages, and take up to GROUP of them."""
        await self._filled.wait()
        if not self._waiting:
            for id_ in tuple(self._gaps):
                self._tell(id_)
        taken = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
        self._bytes -= sum(len(message.fields) for message in taken)
        if not self._waiting and not self._gaps:
            self._filled.clear()
        if not self.full:
            self._room.set()
        return taken

    def _tell(self, id_: str) -> None:
        missed, position = self._gaps.pop(id_)
        metrics.realtime_missed.add({}, missed)
        self.put(Message("gap", id_, f'"missed":{missed}', position))
