"""Fragments of sessions, from packed days, against a plain look at each row."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.sequences.fragments import fragments
from tests.derived.test_packed_day import BEGIN
from tests.examples import examples
from tests.queries.sequences.test_sequences import SOME, Case, cases, counted, of_sessions


@examples(1000)
@given(case=cases, edges=st.lists(st.sampled_from(SOME), min_size=1, unique=True).map(sorted))
def test_fragments_are_parts_of_sessions(case: Case, edges: list[int]) -> None:
    table, wanted, rows = counted(case)
    group = np.array([ord(name[1]) for name in table.names], np.int64)
    for groups in (None, group):
        of = fragments(table, wanted, np.array(edges, np.int64) + BEGIN, groups)
        numbers: dict[int, Any] = {}
        for fragment in zip(*of, strict=True):
            _, number, person, bucket, group_, _, _, many = map(int, fragment)
            mine = numbers.setdefault(number, {})
            mine[person, bucket, group_] = mine.get((person, bucket, group_), 0) + many
        expected = []
        for session in of_sessions(rows, case[1]).values():
            mine = {}
            for row in session:
                bucket = sum(edge <= row[1] for edge in edges)
                key = (
                    case[1].get(row[0], row[0]),
                    bucket,
                    ord(row[4]) if groups is not None else 0,
                )
                mine[key] = mine.get(key, 0) + 1
            expected.append(mine)
        assert sorted(map(sorted, (one.items() for one in numbers.values()))) == sorted(
            map(sorted, (one.items() for one in expected))
        )
        assert sum(of.rows) == len(rows)
        assert not rows or {
            column.itemsize
            for column in (of.day, of.session, of.person, of.bucket, of.group, of.rows)
        } == {4}
