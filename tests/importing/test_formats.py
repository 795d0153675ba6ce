"""Which format a file has, and the way around for one that has none of ours."""

import bz2
import gzip
import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from analytics.errors import CommandError
from analytics.importing import formats
from analytics.importing.input_file import opened

TEXT = "session_id,event_type,event_action\ns,t,é\n"


def refusal(path: str, command: str = "cat", kind: str = "csv") -> str:
    with opened(path, command) as file, pytest.raises(CommandError) as refused:
        formats.check(file, kind)
    return refused.value.message


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
        ("utf-32-le", "UTF-32LE"),
        ("utf-32-be", "UTF-32BE"),
    ],
)
def test_another_encoding_is_named_with_the_command_that_converts_it(
    tmp_path: Path, codec: str, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "my file's $export.csv"
    path.write_bytes(compress(TEXT.encode(codec)))
    message = refusal(str(path))
    name, _, hint = message.partition(": ")
    assert name == f"{path} is {encoding}"
    assert f"iconv -f {encoding} -t UTF-8" in hint
    assert shell(hint) == TEXT


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize(
    ("kind", "text", "converted", "what"),
    [
        ("csv", "a,b\r1,2\r", "a,b\n1,2\n", "ends its lines with CR alone"),
        ("ndjson", '[{"a": 1}, {"b": 2}]', '{"a":1}\n{"b":2}\n', "is one JSON list"),
        ("ndjson", '\ufeff\n [{"a": 1}]', '{"a":1}\n', "is one JSON list"),
    ],
)
def test_text_without_lines_is_named_with_the_command_that_makes_them(
    tmp_path: Path,
    kind: str,
    text: str,
    converted: str,
    what: str,
    compress: Callable[[bytes], bytes],
) -> None:
    path = tmp_path / "my events"
    path.write_bytes(compress(text.encode()))
    message = refusal(str(path), kind=kind)
    assert what in message
    assert shell(message.partition(": ")[2]) == converted


def shell(command: str) -> str:
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def test_standard_input_is_told_where_to_put_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    with io.TextIOWrapper(io.BufferedReader(Piped(TEXT.encode("utf-16")))) as standard_input:
        monkeypatch.setattr("sys.stdin", standard_input)
        message = refusal("-", "analytics import --tz UTC -")
    assert message == (
        "standard input is UTF-16: … | iconv -f UTF-16 -t UTF-8 | analytics import --tz UTC -"
    )


class Piped(io.BytesIO):
    """Bytes from a pipe."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.ndjson", b"x", "ndjson"),
        ("a.JSONL.gz", b"x", "ndjson"),
        ("a.tsv.bz2", b"{", "csv"),
        ("a", b"\xef\xbb\xbf \n{", "ndjson"),
        ("a", b"[", "ndjson"),
        ("a", b"", "ndjson"),
        ("a", b"session_id", "csv"),
    ],
)
def test_the_suffix_says_the_format_or_else_the_first_byte(
    tmp_path: Path, name: str, data: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with opened(str(tmp_path / name)) as file:
        assert formats.format_of(file) == kind


@pytest.mark.parametrize("text", [TEXT, "", "a", "a,b\r\n1,2\r\n", '{"a": [1]}'])
def test_ordinary_text_is_read_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "events"
    path.write_text(text, newline="")
    with opened(str(path)) as file:
        formats.check(file, "csv")
        formats.check(file, "ndjson")
        assert file.stream.read() == text.encode()
