"""Rows of people and sessions in order, from packed days, against a plain sort.

With many ties, people of several actors, and gaps around the length that ends a session.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.derived.arrays import Array
from analytics.derived.instants import DAY_US, SILENCE_US
from analytics.derived.packed_day import NO_SESSION_HASH, Day, NamedRecords, pack
from analytics.queries.database.identity import IdentityLinks
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.sequences import sequences
from analytics.queries.sequences.columns import Columns
from analytics.queries.sequences.sequences import Sequences, by_person, by_session
from tests.derived.test_packed_day import BEGIN, START
from tests.derived.test_packed_day import record as record_of_day
from tests.examples import examples

Row = tuple[int, int, int, int, str]
"""Person, microseconds since the first day began, id, session, action: as in the tests of a day,
but on several.
"""

SOME = [
    0,
    1,
    SILENCE_US - 1,
    SILENCE_US,
    SILENCE_US + 1,
    2 * SILENCE_US,
    2 * SILENCE_US + 1,
    3 * SILENCE_US,
    3 * SILENCE_US + 1,
    DAY_US - SILENCE_US,
    DAY_US - 1,
    DAY_US,
    DAY_US + 1,
    DAY_US + SILENCE_US - 1,
    DAY_US + SILENCE_US,
    2 * DAY_US,
]

rows_ = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(SOME),
        st.integers(0, 2**128 - 1),
        st.sampled_from([NO_SESSION_HASH, NO_SESSION_HASH, 1, 2]),
        st.sampled_from(["x", "y", "z"]),
    ),
    max_size=30,
    unique_by=lambda row: row[2],
)
links_ = st.dictionaries(st.integers(0, 3), st.integers(0, 3), max_size=2).map(
    lambda links: {other: who for other, who in links.items() if who not in links}
)
ranges = st.tuples(
    st.sampled_from([0, 1, DAY_US]), st.sampled_from([DAY_US, 2 * DAY_US, 2 * DAY_US + 1])
)
wanted_ = st.sets(st.sampled_from(["x", "y", "z"]), min_size=1)


def packed(rows: list[Row]) -> list[Day]:
    days = []
    for number in range(3):
        of = [row for row in rows if number * DAY_US <= row[1] < (number + 1) * DAY_US]
        groups = {
            action: b"".join(map(record_of_day, (row for row in of if row[4] == action)))
            for action in ("x", "y", "z")
        }
        days.append(
            pack(
                START + 24 * number,
                [
                    NamedRecords(("e", action, None), len(data) // 36, data)
                    for action, data in groups.items()
                    if data
                ],
            )
        )
    return days


def columns(rows: list[Row], links: dict[int, int], since: int, until: int) -> Columns:
    read = SimpleNamespace(links=IdentityLinks(1 if links else 0, links), check_time=lambda: None)
    begin = datetime.fromtimestamp(START * 3600, UTC)
    return Columns(
        packed(rows),
        begin + timedelta(microseconds=since),
        begin + timedelta(microseconds=until),
        cast(Snapshot, read),
    )


def shown(table: Columns, pieces: list[Sequences]) -> list[list[tuple[int, str]]]:
    """The rows of each unit; a unit that is in pieces shows."""
    units = []
    for piece in pieces:
        for first, end in pairwise([*piece.firsts, len(piece.unit)]):
            units.append(
                [
                    (int(at) - BEGIN, table.names[code][1])
                    for at, code in zip(piece.at[first:end], piece.code[first:end], strict=True)
                ]
            )
    return sorted(units)


def of_people(rows: list[Row], links: dict[int, int]) -> dict[Any, list[Row]]:
    units: dict[Any, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row[1], row[2])):
        units.setdefault(links.get(row[0], row[0]), []).append(row)
    return units


def of_sessions(rows: list[Row], links: dict[int, int]) -> dict[Any, list[Row]]:
    units: dict[Any, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row[1], row[2])):
        if row[3] != NO_SESSION_HASH:
            units.setdefault(row[3], []).append(row)
    for person, of in of_people([row for row in rows if row[3] == NO_SESSION_HASH], links).items():
        for at, row in enumerate(of):
            if not at or row[1] - of[at - 1][1] > SILENCE_US:
                began = row[1]
            units.setdefault((person, began), []).append(row)
    return units


cases = st.tuples(rows_, links_, ranges, wanted_)
Case = tuple[list[Row], dict[int, int], tuple[int, int], set[str]]


def counted(case: Case) -> tuple[Columns, Array, list[Row]]:
    """The columns, the names that are wanted, and the rows that count."""
    rows, links, (since, until), wanted = case
    table = columns(rows, links, since, until)
    return (
        table,
        np.array([name[1] in wanted for name in table.names], bool),
        [row for row in rows if since <= row[1] < until and row[4] in wanted],
    )


@examples(1000)
@given(case=cases, bits=st.sampled_from([1, 20]))
def test_rows_of_people_are_in_order(case: Case, bits: int) -> None:
    table, wanted, rows = counted(case)
    with patch.object(sequences, "CHUNK_ROWS", 3), patch.object(sequences, "HISTOGRAM_BITS", bits):
        pieces = by_person(table, wanted, lambda rows: rows)
    assert shown(table, pieces) == sorted(
        [(row[1], row[4]) for row in of] for of in of_people(rows, case[1]).values()
    )


@examples(1000)
@given(case=cases, most=st.sampled_from([3, 1_000]))
def test_rows_of_sessions_are_in_order(case: Case, most: int) -> None:
    table, wanted, rows = counted(case)
    with patch.object(sequences, "CHUNK_ROWS", most):
        pieces = by_session(table, wanted, lambda rows: rows)
    assert shown(table, pieces) == sorted(
        [(row[1], row[4]) for row in of] for of in of_sessions(rows, case[1]).values()
    )


def test_who_acts_under_another_number_meanwhile_is_not_silent() -> None:
    """One number's rows are half an hour apart; the other's are longer apart, but always soon after
    one of the first's.
    """
    first = [(0, hour * SILENCE_US, hour + 1, NO_SESSION_HASH, "x") for hour in range(4)]
    second = [(1, at, 100 + at, NO_SESSION_HASH, "y") for at in (1, 3 * SILENCE_US + 1)]
    table, wanted, rows = counted(([*first, *second], {1: 0}, (0, DAY_US), {"x", "y"}))
    assert [len(unit) for unit in shown(table, by_session(table, wanted, lambda rows: rows))] == [
        len(rows)
    ]


def test_people_of_large_numbers_are_found_in_few_looks() -> None:
    rows: list[Row] = [(person, 0, person, 1, "x") for person in (2**31 - 1, 0, 2**31 - 2, 5)]
    table, wanted, _ = counted((rows, {}, (0, DAY_US), {"x"}))
    pieces = by_person(table, wanted, lambda rows: rows)
    assert [piece.unit.tolist() for piece in pieces] == [[0, 5, 2**31 - 2, 2**31 - 1]]


def test_cuts_are_ranges_of_as_many_rows() -> None:
    assert list(sequences.ranges(np.array([0, 3, 0, 1, 1, 9, 0, 1]), 3)) == [
        (1, 2),
        (3, 5),
        (5, 6),
        (7, 8),
    ]
    assert list(sequences.ranges(np.zeros(3), 3)) == []
