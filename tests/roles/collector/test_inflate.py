"""Compressed bodies are decompressed whole or refused, in no more memory than the largest body."""

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import AnalyticsError, BadRequest, TooLarge, UnsupportedEncoding
from analytics.roles.collector.inflate import MAX_INFLATED_BYTES, inflate
from tests.examples import examples


def unsized_zstd(data: bytes) -> bytes:
    """A frame without the length of its content, as streams have it."""
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(data) + stream.flush()


COMPRESS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b"x-gzip", gzip.compress),
    "br": (b"br", brotli.compress),
    "zstd": (b"zstd", zstandard.ZstdCompressor().compress),
    "zstd, unsized": (b"zstd", unsized_zstd),
    "zstd, checksum": (b"zstd", zstandard.ZstdCompressor(write_checksum=True).compress),
}
each = pytest.mark.parametrize(("encoding", "compress"), COMPRESS.values(), ids=COMPRESS.keys())


@each
@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"a":"' + b"x" * 100_000 + b'"}', bytes(range(256)) * 4000]
)
def test_a_compressed_body_is_read_whole(
    encoding: bytes, compress: Callable[[bytes], bytes], text: bytes
) -> None:
    assert inflate(compress(text), encoding) == text
    assert inflate(compress(text), b" " + encoding.upper() + b" ") == text


@each
def test_ten_mebibytes_are_taken_and_one_byte_more_is_not(
    encoding: bytes, compress: Callable[[bytes], bytes]
) -> None:
    most = b"x" * MAX_INFLATED_BYTES
    assert inflate(compress(most), encoding) == most
    with pytest.raises(TooLarge):
        inflate(compress(most + b"x"), encoding)


@each
def test_a_body_cut_short_is_refused(encoding: bytes, compress: Callable[[bytes], bytes]) -> None:
    whole = compress(b'{"a":"some text that is not too short to be cut"}')
    for end in range(len(whole)):
        with pytest.raises(BadRequest):
            inflate(whole[:end], encoding)


@each
@pytest.mark.parametrize("tail", [b"x", b"\x00", b"garbage" * 100])
def test_what_follows_the_stream_is_refused(
    encoding: bytes, compress: Callable[[bytes], bytes], tail: bytes
) -> None:
    with pytest.raises(BadRequest):
        inflate(compress(b"{}") + tail, encoding)
    with pytest.raises(BadRequest):
        inflate(compress(b"{}") + compress(b"{}"), encoding)


def test_identity_is_passed_on() -> None:
    assert inflate(b"{}") == inflate(b"{}", b"identity") == b"{}"


def test_gzip_is_known_without_being_named() -> None:
    assert inflate(gzip.compress(b"{}")) == inflate(gzip.compress(b"{}"), b"identity") == b"{}"


@pytest.mark.parametrize(
    "encoding", [b"deflate", b"compress", b"gzip, br", b"gzip,identity", b"zip", b"\xff", b"base64"]
)
def test_an_unknown_encoding_is_named(encoding: bytes) -> None:
    with pytest.raises(UnsupportedEncoding) as refused:
        inflate(b"{}", encoding)
    assert refused.value.field == "Content-Encoding"


@each
@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"\x1f\x8b", b"\x1f\x8b\x08" + b"\xff" * 50, b"\x28\xb5\x2f\xfd" + b"\xff" * 50],
)
def test_what_is_not_compressed_so_is_refused(
    encoding: bytes, compress: Callable[[bytes], bytes], body: bytes
) -> None:
    with pytest.raises(BadRequest):
        inflate(body, encoding)


@examples(300)
@given(st.sampled_from([b"gzip", b"br", b"zstd"]), st.binary(max_size=300), st.booleans())
def test_no_bytes_raise_anything_but_a_refusal(encoding: bytes, body: bytes, headed: bool) -> None:
    head = (
        {b"gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", b"zstd": b"\x28\xb5\x2f\xfd"}.get(
            encoding, b""
        )
        if headed
        else b""
    )
    try:
        inflate(head + body, encoding)
    except AnalyticsError as error:
        assert error.message  # noqa: PT017 - a refusal and a success are both right


def test_a_zstd_window_larger_than_http_allows_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(BadRequest):
        inflate(stream.compress(b"ab" * 1000) + stream.flush(), b"zstd")


def bomb(encoding: str) -> bytes:
    """200 MB of nothing, in a few kilobytes."""
    nothing = bytes(1 << 20)
    stream: Any = {
        "gzip": zlib.compressobj(9, zlib.DEFLATED, 31),
        "br": brotli.Compressor(quality=5),
        "zstd": zstandard.ZstdCompressor().compressobj(),
    }[encoding]
    feed, end = (
        (stream.process, stream.finish) if encoding == "br" else (stream.compress, stream.flush)
    )
    return b"".join([*(feed(nothing) for _ in range(200)), end()])


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_bomb_costs_no_more_memory_than_the_largest_body(encoding: str) -> None:
    body = bomb(encoding)
    assert len(body) < 210_000
    program = f"""
import resource, sys
from analytics.errors import TooLarge
from analytics.roles.collector.inflate import inflate
from tests.examples import examples
body = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    inflate(body, b"{encoding}")
except TooLarge:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=body, capture_output=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 60 << 20
