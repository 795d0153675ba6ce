"""Packed days: rows come back as they were packed, in order, ties included."""

import struct
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.derived.instants import HOUR_US, POSTGRES_EPOCH_US, SILENCE_US
from analytics.derived.packed_day import NO_SESSION_HASH, Day, NamedRecords, UnnumberedActor, pack
from tests.examples import examples

START = int(datetime(2026, 11, 2, tzinfo=UTC).timestamp()) // 3600
BEGIN = START * HOUR_US

Row = tuple[int, int, int, int, str]
"""Person, microseconds since the day began, id, session, action."""

rows = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2**31 - 1]),
        st.sampled_from([0, 1, 255, 256, SILENCE_US, SILENCE_US + 256, 24 * HOUR_US - 1]),
        st.integers(0, 9).map(lambda number: number << 124 | number) | st.integers(0, 2**128 - 1),
        st.sampled_from([NO_SESSION_HASH, 1, 2, 2**64 - 1]),
        st.sampled_from(["x", "y"]),
    ),
    max_size=30,
    unique_by=lambda row: row[2],
)


def record(row: Row) -> bytes:
    """As PostgreSQL makes it."""
    person, at, id_, session, _ = row
    return (
        struct.pack(">iq", person, BEGIN + at - POSTGRES_EPOCH_US)
        + id_.to_bytes(16)
        + struct.pack(">Q", session)
    )


def packed(rows: list[Row]) -> Day:
    groups = {action: [record(row) for row in rows if row[4] == action] for action in ("x", "y")}
    return pack(
        START,
        [
            NamedRecords(("e", action, None), len(records), b"".join(records))
            for action, records in groups.items()
            if records
        ],
    )


@examples(300)
@given(rows=rows)
def test_rows_are_in_order_of_person_time_and_id(rows: list[Row]) -> None:
    day = Day.decode(packed(rows).encode())
    persons = np.repeat(day.persons, np.diff(day.offsets)).tolist()
    sessions = day.sessions[np.repeat(day.stretches, np.diff(day.stretch_offsets))].tolist()
    decoded_rows = list(
        zip(
            persons,
            (day.times(slice(None)) - BEGIN).tolist(),
            sessions,
            (day.names[code][1] for code in day.codes),
            strict=True,
        )
    )
    ordered = sorted(rows, key=lambda row: row[:3])
    assert decoded_rows == [
        (person, at, session, action) for person, at, _, session, action in ordered
    ]
    before = [sum(other[1] == row[1] and other[2] < row[2] for other in rows) for row in ordered]
    assert day.tie_ranks(slice(None)).tolist() == before
    assert day.tie_ranks(np.arange(day.rows)[::2]).tolist() == before[::2]
    assert day.rows == len(rows)


@examples(300)
@given(rows=rows)
def test_a_stretch_is_one_person_s_in_one_session_and_silence_ends_what_nobody_tells(
    rows: list[Row],
) -> None:
    day, ordered = packed(rows), sorted(rows, key=lambda row: row[:3])
    expected = []
    for at, (before, row) in enumerate(zip([None, *ordered], ordered, strict=False)):
        goes_on = (
            before is not None
            and (before[0], before[3]) == (row[0], row[3])
            and (row[3] != NO_SESSION_HASH or row[1] - before[1] <= SILENCE_US)
        )
        expected += [] if goes_on else [at]
    assert day.stretch_offsets.tolist() == [*expected, len(rows)]


def test_an_actor_without_a_number_is_a_stranger() -> None:
    with pytest.raises(UnnumberedActor):
        pack(START, [NamedRecords(("e", "x", None), 2, record((1, 0, 0, 1, "x")))])


def test_columns_are_small() -> None:
    """Some ten bytes a row, where people come back within their sessions."""
    rows = [
        (number // 50, number * 1_000_003 % (24 * HOUR_US), number, 1 + number // 50, "x")
        for number in range(20_000)
    ]
    assert packed(rows).size_bytes / len(rows) < 10


def test_the_values_that_split_rows_count_with_all_their_bytes() -> None:
    values = ["x" * 10_000, "é" * 10_000, "日" * 10_000]
    sizes = [
        pack(START, [NamedRecords(("e", "x", value), 1, record((1, 0, 0, 1, "x")))]).size_bytes
        for value in (None, *values)
    ]
    assert [size - sizes[0] for size in sizes[1:]] == [
        pytest.approx(size, abs=100) for size in (10_000, 10_000, 20_000)
    ]
