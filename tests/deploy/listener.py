"""A WebSocket client over TLS that reads and writes in one thread.

The threaded client of `websockets` writes a connection in one thread while it reads it in another,
which OpenSSL does not allow: when the session tickets of TLS 1.3 arrive just as the request is
written, the request is lost now and then (in 2 or 3 of 1,000 handshakes here), and both sides wait
in vain.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any, Self

from websockets.asyncio.client import connect

SECONDS = 20.0
"""How long a message may take."""


class Listener:
    """A connection from entering to leaving; what comes meanwhile waits until it is received."""

    def __init__(self, url: str, context: ssl.SSLContext, headers: Mapping[str, str]) -> None:
        self._runner = asyncio.Runner()
        # nobody answers pings between two calls of ours, so neither side asks for it
        self._connect = connect(url, ssl=context, additional_headers=headers, ping_interval=None)

    def __enter__(self) -> Self:
        try:
            self._socket = self._runner.run(self._open())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._runner:
            self._runner.run(self._socket.close())

    async def _open(self) -> Any:
        return await self._connect

    def send(self, message: Mapping[str, object]) -> None:
        self._runner.run(self._socket.send(json.dumps(message)))

    def receive(self) -> Any:
        """The next message. Raises TimeoutError when none comes in SECONDS."""
        return json.loads(self._runner.run(asyncio.wait_for(self._socket.recv(), SECONDS)))
