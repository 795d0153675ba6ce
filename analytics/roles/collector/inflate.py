"""Compressed bodies, inflated within a bound: a bomb costs no more memory than the largest body
that is allowed.
"""

import zlib
from collections.abc import Callable

import brotli
import zstandard

from analytics.errors import BadRequest, TooLarge, UnsupportedEncoding

MAX_COMPRESSED = 1 << 20
"""Bytes of a body as it is sent."""

MAX_INFLATED = 10 << 20
"""Bytes of a body as it is read."""

_GZIP = b"\x1f\x8b\x08"
_ZSTD_WINDOW = 8 << 20  # what RFC 9659 lets a sender ask of us
_ZSTD_FEED = 256  # compressed bytes at a time: at most 64 blocks, of 128 KiB each


def _gzip(data: bytes) -> tuple[bytes, bool]:
    stream = zlib.decompressobj(31)
    text = stream.decompress(data, MAX_INFLATED + 1)
    return text, stream.eof and not stream.unused_data


def _brotli(data: bytes) -> tuple[bytes, bool]:
    stream = brotli.Decompressor()
    text: bytes = stream.process(data, output_buffer_limit=MAX_INFLATED + 1)
    return text, stream.is_finished()


def _zstd(data: bytes) -> tuple[bytes, bool]:
    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    parts, size, at = [], 0, 0
    while at < len(data) and not stream.eof and size <= MAX_INFLATED:
        parts.append(stream.decompress(data[at : at + _ZSTD_FEED]))
        size += len(parts[-1])
        at += _ZSTD_FEED
    return b"".join(parts), stream.eof and not stream.unused_data and at >= len(data)


_STREAMS: dict[bytes, Callable[[bytes], tuple[bytes, bool]]] = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"br": _brotli,
    b"zstd": _zstd,
}
"""Content-Encoding → bytes as sent → bytes as read (cut short beyond MAX_INFLATED), and whether the
stream ended where the body did.
"""


def inflate(body: bytes, encoding: bytes = b"") -> bytes:
    """A body as its sender meant it; gzip is known by its first bytes too, for some senders do not
    name it.

    Raises UnsupportedEncoding; TooLarge beyond MAX_INFLATED; BadRequest for a stream that is
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
        text, whole = _STREAMS[name](body)
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise BadRequest(f"the body is not {name.decode()}", code="bad_encoding") from error
    if len(text) > MAX_INFLATED:
        raise TooLarge(f"the body inflates to more than {MAX_INFLATED} bytes")
    if not whole:
        raise BadRequest(
            f"the {name.decode()} body is cut short, or something follows it", code="bad_encoding"
        )
    return text
