"""The answer cache: the one layer between a query and the database.

A cached answer is given while it is recent enough and what it depends on is unchanged. Otherwise
it is made, and cached: once in each process for everybody who asks the same at that time.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import msgspec
from redis.asyncio import Redis

from analytics.queries.answers.slots import Answer, Slots

Holds = Callable[[Answer], Awaitable[bool]]
Make = Callable[[], Awaitable[Answer]]
Flight = asyncio.Task[tuple[Answer, bool]]


def name_of(version: int, path: str, scope: str | None, parameters: object) -> bytes:
    """The name of an answer: the same for the same query, its parameters in any order.

    `scope` is the only project that the asking key may read (None: all), so that keys of different
    projects never share an answer.
    """
    text = msgspec.json.encode([version, path, scope, parameters], order="deterministic")
    return hashlib.sha256(text).digest()


class AnswerCache:
    """Answers by name: cached in Redis, and those that this process is making at the moment."""

    def __init__(self, redis: Redis) -> None:
        self._slots = Slots(redis)
        self._flights: dict[bytes, Flight] = {}

    def get(
        self, name: bytes, holds: Holds, make: Make, *, fresh: bool = False
    ) -> Awaitable[tuple[Answer, bool]]:
        """An answer, and whether it was made for an earlier request.

        `holds` says whether nothing has changed since a cached answer was made. `fresh`: make a new
        one. Raises what `holds` and `make` raise.
        """
        if fresh:
            return self._make(make)
        flight = self._flights.get(name)
        if flight is not None:
            return _joined(flight)
        flight = asyncio.ensure_future(self._find_or_make(name, holds, make))
        flight.add_done_callback(lambda done: self._landed(name, done))
        self._flights[name] = flight
        return asyncio.shield(flight)  # who leaves early leaves the others their answer

    async def close(self) -> None:
        """Cancel what is still being made."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _find_or_make(self, name: bytes, holds: Holds, make: Make) -> tuple[Answer, bool]:
        cached = await self._slots.find(name)
        if cached is not None and await holds(cached):
            return cached, True
        answer = await make()
        await self._slots.keep(answer)
        return answer, False

    async def _make(self, make: Make) -> tuple[Answer, bool]:
        answer = await make()
        await self._slots.keep(answer)
        return answer, False

    def _landed(self, name: bytes, flight: Flight) -> None:
        self._flights.pop(name, None)
        if not flight.cancelled():
            flight.exception()  # if all who asked have left, nobody else retrieves it


async def _joined(flight: Flight) -> tuple[Answer, bool]:
    """The answer that another request waits for already."""
    answer, _ = await asyncio.shield(flight)
    return answer, True
