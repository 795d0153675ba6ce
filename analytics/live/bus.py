"""The listening half: one connection for all projects that this process watches.

It reconnects by itself, and tells its watchers how many events they missed.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from analytics.errors import Unavailable
from analytics.events import Event
from analytics.live.messages import ANNOUNCE, CHANNEL, COUNTS, parse
from analytics.tasks import end

log = logging.getLogger(__name__)

PING_SECONDS = 5.0
RETRY_SECONDS = 0.5
WATCH_SECONDS = 5.0
"""How long `watch` waits for Redis to confirm the subscription."""

SLICE_SECONDS = 0.01
"""How long watchers are told without giving other tasks their turn."""


class Delivery:
    """The events of one message.

    `before` is how many events of the project came before them. `cache` holds what watchers compute
    from the events, so that each result is computed once for all watchers.
    """

    def __init__(self, events: Sequence[Event], before: int) -> None:
        self.events = events
        self.before = before
        self.cache: dict[object, Any] = {}
        self._since = time.monotonic()

    async def pause(self) -> None:
        """Give other tasks their turn, if they had none for SLICE_SECONDS."""
        if time.monotonic() - self._since > SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = time.monotonic()


class Watcher(Protocol):
    """A listener to one project. Neither call may wait, except for `Delivery.pause`."""

    async def stored(self, delivery: Delivery) -> None:
        """These events were committed."""

    def missed(self, number: int, before: int) -> None:
        """So many events were committed that the bus could not bring.

        `before` counts them and all earlier events of the project.
        """


class _Channel:
    """One watched project.

    `total` counts the project's events up to the last message; None before the first message.
    `subscribed` says that Redis has confirmed the subscription, `confirmed` that a message has come
    since. `users` counts the watchers, those included that still wait for the confirmation.
    """

    def __init__(self) -> None:
        self.total: int | None = None
        self.subscribed = False
        self.confirmed = asyncio.Event()
        self.users = 0
        self.watchers: dict[Watcher, None] = {}


class Bus:
    """The one connection over which this process listens, to watched projects only.

    It reconnects after a restart of Redis, and after a connection that died silently (noticed
    within twice PING_SECONDS). It then tells the watchers how many events they missed.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._channels: dict[str, _Channel] = {}
        self._commands: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        self._unanswered: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="live bus")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            await end([self._task])

    async def watch(self, project: str, watcher: Watcher) -> int:
        """Tell `watcher` of the events of `project` from now on.

        Returns how many events of the project came before. Raises Unavailable when Redis does not
        confirm the subscription.
        """
        channel = self._channels.get(project)
        if channel is None:
            channel = self._channels[project] = _Channel()
            self._subscribe(project)
        channel.users += 1
        try:
            async with asyncio.timeout(WATCH_SECONDS):
                await channel.confirmed.wait()
        except TimeoutError as error:
            self.unwatch(project, watcher)
            raise Unavailable(
                "Redis does not answer, so events cannot be shown live; try again"
            ) from error
        except asyncio.CancelledError:
            self.unwatch(project, watcher)
            raise
        channel.watchers[watcher] = None
        return channel.total or 0

    def unwatch(self, project: str, watcher: Watcher) -> None:
        """Stop telling `watcher`. After the last watcher of a project we leave its channel."""
        channel = self._channels[project]
        channel.watchers.pop(watcher, None)
        channel.users -= 1
        if not channel.users:
            del self._channels[project]
            self._commands.put_nowait(("UNSUBSCRIBE", CHANNEL + project))

    def _subscribe(self, project: str) -> None:
        self._unanswered[project] += 1
        self._commands.put_nowait(("SUBSCRIBE", CHANNEL + project))

    async def _run(self) -> None:
        last_error = ""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                if str(error) != last_error:  # log each error once, not at every attempt
                    last_error = str(error)
                    log.warning("the live bus is lost, trying again: %s", error)
            except Exception:
                log.exception("the live bus failed, trying again")
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        """The life of one connection: subscribe to all watched projects, read until it breaks."""
        pool: Any = self._redis.connection_pool
        connection: Any = pool.make_connection()
        await connection.connect()
        self._commands = asyncio.Queue()
        self._unanswered.clear()
        for project in self._channels:
            self._subscribe(project)
        writing = asyncio.create_task(self._write(connection), name="live bus, commands")
        try:
            await self._read(connection)
        finally:
            for channel in self._channels.values():
                channel.subscribed = False
                channel.confirmed.clear()
            await end([writing])
            await connection.disconnect(nowait=True)

    async def _write(self, connection: AbstractConnection) -> None:
        # the reader meets the same failure, and handles it
        with contextlib.suppress(RedisError, OSError):
            while True:
                await connection.send_command(*await self._commands.get(), check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        silent = False
        while True:
            answer = await connection.read_response(timeout=PING_SECONDS)
            if answer is None:
                if silent:
                    raise RedisConnectionError("no answer to a ping")
                self._commands.put_nowait(("PING",))
            silent = answer is None
            if isinstance(answer, list) and answer[0] == b"message":
                await self._deliver(_project(answer[1]), answer[2])
            elif isinstance(answer, list) and answer[0] == b"subscribe":
                await self._subscribed(_project(answer[1]))

    async def _subscribed(self, project: str) -> None:
        """Redis has confirmed a subscription; ask for the project's total.

        Of several subscriptions to one channel only the last counts: before it there was a gap.
        """
        self._unanswered[project] -= 1
        if self._unanswered[project] > 0:
            return
        del self._unanswered[project]
        if channel := self._channels.get(project):
            channel.subscribed = True
            execute: Callable[..., Awaitable[Any]] = self._redis.execute_command
            await execute("EVAL", ANNOUNCE, 1, COUNTS, project, CHANNEL + project)

    async def _deliver(self, project: str, message: bytes) -> None:
        """Hand a message to the project's watchers, after the number of events missed before it."""
        channel = self._channels.get(project)
        if channel is None or not channel.subscribed:
            return
        total, events = parse(message)
        first = total - len(events)
        if channel.total is not None and first != channel.total:
            # a total below ours means that Redis lost the count, and it began again at 0: the
            # events counted since are all that we know to have missed
            missed = first - channel.total if first > channel.total else first
            for watcher in channel.watchers if missed else ():
                watcher.missed(missed, first)
        channel.total = total
        channel.confirmed.set()
        delivery = Delivery(events, first)
        for watcher in tuple(channel.watchers) if events else ():
            if watcher in channel.watchers:  # it may have left while other tasks ran
                await watcher.stored(delivery)
            await delivery.pause()
        await asyncio.sleep(0)


def _project(channel: bytes) -> str:
    return channel.decode().removeprefix(CHANNEL)
