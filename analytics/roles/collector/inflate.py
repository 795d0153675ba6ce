"""Decompresses bodies within a bound: a zip bomb costs no more memory than the largest body."""

import zlib
from collections.abc import Callable

import brotli
import zstandard

from analytics.errors import BadRequest, TooLarge, UnsupportedEncoding

MAX_COMPRESSED_BYTES = 1 << 20
"""Of a body as it is sent, compressed or not."""

MAX_INFLATED_BYTES = 10 << 20
"""Of a body after decompression."""

_GZIP = b"\x1f\x8b\x08"
_ZSTD_WINDOW_BYTES = 8 << 20
"""The window that RFC 9659 lets a sender ask for."""

_ZSTD_FEED_BYTES = 256
"""Compressed bytes at a time, because zstandard has no bound on its output.

256 bytes hold at most 64 blocks of 128 KiB: 8 MiB.
"""


def _gzip(data: bytes, most: int) -> tuple[bytes, bool]:
    stream = zlib.decompressobj(31)
    text = stream.decompress(data, most + 1)
    return text, stream.eof and not stream.unused_data


def _brotli(data: bytes, most: int) -> tuple[bytes, bool]:
    stream = brotli.Decompressor()
    text: bytes = stream.process(data, output_buffer_limit=most + 1)
    return text, stream.is_finished()


def _zstd(data: bytes, most: int) -> tuple[bytes, bool]:
    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
    parts, size, position = [], 0, 0
    while position < len(data) and not stream.eof and size <= most:
        parts.append(stream.decompress(data[position : position + _ZSTD_FEED_BYTES]))
        size += len(parts[-1])
        position += _ZSTD_FEED_BYTES
    return b"".join(parts), stream.eof and not stream.unused_data and position >= len(data)


_STREAMS: dict[bytes, Callable[[bytes, int], tuple[bytes, bool]]] = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"br": _brotli,
    b"zstd": _zstd,
}
"""Content-Encoding → a function from a compressed body and a number to its text and a flag.

The text is cut off beyond that number of bytes. The flag says that the stream and the body ended at
the same byte.
"""


def inflate(body: bytes, encoding: bytes = b"", most: int = MAX_INFLATED_BYTES) -> bytes:
    """A body as its sender had it before compression.

    Some senders do not name gzip, so its first bytes count too.

    Raises UnsupportedEncoding; TooLarge beyond `most` bytes; BadRequest for a stream that is
    corrupt, cut short, or followed by anything.
    """
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        if not body.startswith(_GZIP):
            return body
        name = b"gzip"
    if name not in _STREAMS:
        raise UnsupportedEncoding(
            "Content-Encoding may be gzip, br, zstd or identity", field="Content-Encoding"
        )
    try:
        text, whole = _STREAMS[name](body, most)
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise BadRequest(f"the body is not {name.decode()}", code="bad_encoding") from error
    if len(text) > most:
        raise TooLarge(f"the body inflates to more than {most} bytes")
    if not whole:
        raise BadRequest(
            f"the {name.decode()} body is cut short, or something follows it", code="bad_encoding"
        )
    return text
