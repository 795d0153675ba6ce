"""A file to import: recognized and decompressed by what is in it."""

import bz2
import gzip
import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from analytics.errors import CommandError
from analytics.importing.input_file import END_BYTES, damage, opened


def identity_of(path: Path) -> bytes | None:
    with opened(str(path)) as file:
        return file.identity


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
def test_a_file_is_decompressed_whatever_its_name_is(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "events.zip"
    path.write_bytes(compress(b"one\ntwo\n"))
    with opened(str(path)) as file:
        assert file.stream.read() == b"one\ntwo\n"
        assert file.read_bytes == file.size_bytes == path.stat().st_size
        file.stream.seek(4)
        assert file.stream.read() == b"two\n"


def test_zstd_is_refused_with_the_way_around_it(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"\x28\xb5\x2f\xfd....")
    with pytest.raises(CommandError, match=r"zstdcat < \S+/events \| analytics import -$"):
        identity_of(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="gone cannot be read: No such file"):
        identity_of(tmp_path / "gone")


def test_a_file_is_the_same_under_another_name_and_another_when_it_has_changed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * (END_BYTES * 2 + 10))
    os.utime(path, ns=(0, 1))
    first = identity_of(path)
    assert first is not None
    assert identity_of(path.rename(tmp_path / "b")) == first
    path = tmp_path / "b"
    seen = {first}
    for at in (0, END_BYTES - 1, END_BYTES + 10, -1):
        content = bytearray(b"x" * (END_BYTES * 2 + 10))
        content[at] = 0
        path.write_bytes(content)
        os.utime(path, ns=(0, 1))
        seen.add(identity_of(path) or b"")
    os.utime(path, ns=(0, 2))
    seen.add(identity_of(path) or b"")
    assert len(seen) == 6


def test_a_pipe_is_read_once_and_has_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, gzip.compress(b"one\n"))
    os.close(writing)
    with io.TextIOWrapper(os.fdopen(reading, "rb")) as standard_input:
        monkeypatch.setattr("sys.stdin", standard_input)
        with opened("-") as file:
            assert (file.name, file.identity, file.size_bytes) == ("standard input", None, None)
            assert (file.stream.read(), file.read_bytes) == (b"one\n", 0)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EOFError("Compressed file ended."), "compressed file ended"),
        (zlib.error("Error -3"), "error -3"),
        (gzip.BadGzipFile("Not a gzipped file"), "not a gzipped file"),
        (OSError("Invalid data stream"), "invalid data stream"),
        (OSError(5, "Input/output error"), None),
        (PermissionError("no"), None),
        (ValueError("no"), None),
    ],
    ids=repr,
)
def test_damage_is_told_from_a_disk_that_fails(error: Exception, said: str | None) -> None:
    assert damage(error) == said
