"""The epoch's mark, and what its loss says."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics.epoch import Epoch, Mark, read_mark


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        (None, None),
        (b"", None),
        (b"a", None),
        (b"a:", None),
        (b"a:x", None),
        (b"\xff", None),
        (b"a:7", Mark("a", 7)),
        (b"a:b:7", Mark("a:b", 7)),
    ],
)
def test_a_mark_is_read_as_it_is_written(text: bytes | None, mark: Mark | None) -> None:
    assert read_mark(text) == mark
    assert mark is None or str(mark).encode() == text


NOW = datetime.now(UTC)
SURE = NOW - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("row", "held", "since"),
    [
        (Epoch(epoch="a", turn=1), None, None),
        (Epoch(epoch="a", turn=1), Mark("b", 7), None),
        (Epoch(epoch="a", turn=4, seen_at=NOW, sure_until=SURE), Mark("a", 4), None),
        (Epoch(epoch="a", turn=4, seen_at=NOW, sure_until=SURE), Mark("a", 9), None),
        (Epoch(epoch="a", turn=4, seen_at=NOW, sure_until=SURE), Mark("a", 3), SURE),
        (Epoch(epoch="a", turn=4, sure_until=SURE), Mark("a", 3), None),
        (Epoch(epoch="a", turn=4, sure_until=SURE), Mark("a", 2), SURE),
        (Epoch(epoch="a", turn=4, sure_until=SURE), None, SURE),
        (Epoch(epoch="a", turn=4, sure_until=SURE), Mark("b", 4), SURE),
        (Epoch(epoch="a", turn=1, sure_until=SURE, lost_from=NOW), None, NOW),
    ],
)
def test_a_reader_that_knows_an_older_row_says_what_redis_lost(
    row: Epoch, held: Mark | None, since: datetime | None
) -> None:
    assert row.unsure_since(held) == since
