"""A streamed response that ends where its client stops reading, or may no longer read."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from analytics.errors import AnalyticsError

log = logging.getLogger(__name__)

PIECE_BYTES = 64 * 1024
STALLED_SECONDS = 60.0
"""A client that takes less than PIECE_BYTES in this time has stopped reading."""


class PacedResponse(StreamingResponse):
    """Sends chunks in pieces, each of which the client must take in STALLED_SECONDS.

    The response also ends where the chunks end in an AnalyticsError. It is cut off then, so no
    client takes it for whole; the chunks are closed in any case.
    """

    def __init__(
        self, chunks: AsyncGenerator[bytes, None], headers: Mapping[str, str], media_type: str
    ) -> None:
        super().__init__(chunks, headers=headers, media_type=media_type)
        self._chunks = chunks

    async def stream_response(self, send: Send) -> None:
        async def paced(message: Message) -> None:
            body: bytes = message.get("body", b"")
            for at in range(0, len(body) or 1, PIECE_BYTES):
                more = message.get("more_body", False) or at + PIECE_BYTES < len(body)
                piece = {"body": body[at : at + PIECE_BYTES], "more_body": more} if body else {}
                async with asyncio.timeout(STALLED_SECONDS):
                    await send({**message, **piece})

        async with contextlib.aclosing(self._chunks):
            try:
                await super().stream_response(paced)
            except TimeoutError as error:
                log.info("a stream was cut off: nobody took it for %s s", STALLED_SECONDS)
                raise ClientDisconnect from error
            except AnalyticsError as error:
                log.info("a stream was cut off: %s", error)
                raise ClientDisconnect from error
