"""A proxy before a server that can be slow, cut connections, or swallow what is sent."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self

from analytics.embedded import free_port

CHUNK = 65536


class Proxy:
    """Forwards a port of its own to `target`, in a thread; entered, it takes connections."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.delay = 0.0
        """Seconds by which each piece is held up, each way."""
        self._refusing = False
        self._passing = threading.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connected, "127.0.0.1", self.port), self._loop
        ).result(30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.mend()
        self.cut()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection, and each new one too until `mend`."""
        self._refusing = True
        self._loop.call_soon_threadsafe(self._abort)

    def swallow(self) -> None:
        """Connections stay open, and nothing passes, until `mend`."""
        self._passing.clear()

    def mend(self) -> None:
        """All is well again; what was swallowed stays lost, with the connections that it belonged
        to.
        """
        if not self._passing.is_set():
            self._loop.call_soon_threadsafe(self._abort)
        self._passing.set()
        self._refusing = False
        self.delay = 0.0

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _end(self) -> None:
        """Take no more connections, let every one, which is cut by now, come to its end, and close.

        The listener closes last: asyncio leaks the socket of a connection that was accepted, but
        not yet given to its server, when that closes.
        """
        for listener in self._server.sockets:
            self._loop.remove_reader(listener.fileno())
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            with contextlib.suppress(OSError):
                back, there = await asyncio.open_connection("127.0.0.1", self.target)
                self._writers.add(there)
                ways = [
                    asyncio.create_task(self._carry(reader, there)),
                    asyncio.create_task(self._carry(back, writer)),
                ]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for end in (writer, there):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            if self._passing.is_set():
                writer.write(piece)
                await writer.drain()
