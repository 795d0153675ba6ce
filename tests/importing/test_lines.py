"""Lines of a file: numbered, with the offset of the next, and of bounded length."""

import io

import pytest

from analytics.importing import lines
from analytics.importing.lines import read


def test_a_line_has_its_number_and_the_offset_where_the_next_begins() -> None:
    data = b"\xef\xbb\xbf {} \r\n\n\xef\xbb\xbf[]"
    rows = list(read(io.BytesIO(data)))
    assert [(line.number, line.last, line.end) for line in rows] == [
        (1, 1, 9),
        (2, 2, 10),
        (3, 3, 15),
    ]
    assert [line.text for line in rows] == [b"{}", b"", b"\xef\xbb\xbf[]"], "one mark, at the start"
    assert [line.raw for line in rows] == [b" {} \r\n", b"\n", b"\xef\xbb\xbf[]"]
    assert list(read(io.BytesIO())) == []


@pytest.mark.parametrize("tail", [b"", b"\n", b"\nmore\n"])
@pytest.mark.parametrize(("size", "fits"), [(8, True), (9, False), (1_000, False)])
def test_a_line_may_be_as_long_as_a_request_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, size: int, fits: bool, tail: bytes
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 8)
    first, *more = read(io.BytesIO(b"x" * size + tail))
    assert (first.flaw is None, first.end) == (fits, size + len(tail[:1]))
    assert first.flaw is None or first.flaw.code == "too_long"
    assert len(first.raw) <= 9
    assert [(line.number, line.text, line.end) for line in more] == (
        [(2, b"more", size + 6)] if len(tail) > 1 else []
    )


def test_reading_goes_on_from_any_line_with_the_same_numbers_and_offsets() -> None:
    data = b"one\ntwo\r\n\nfour"
    whole = list(read(io.BytesIO(data)))
    for line in whole:
        stream = io.BytesIO(data)
        stream.seek(line.end)
        assert list(read(stream, line.end, line.number)) == whole[line.number :]
