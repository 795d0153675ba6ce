"""Sparse parts: what is left out is what whoever reads the part finds again."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from analytics import settings
from analytics.derived import cells
from analytics.derived.cells import ANY, Cells, RollupKey, gather, without_names
from analytics.derived.deltas import UNCOUNTED, Delta, EventGroup
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN
from analytics.derived.sparse import CONTENTS, fill_in, is_sparse, leave_out
from tests.derived.test_cells import DAY, cell
from tests.examples import examples

SPARSE, FULL = -1, 0
KEYS = ("page", "$os")


def gathered(*groups: EventGroup) -> Cells:
    return gather([Delta(KEYS, [None, "/", "/b"], list(groups))])


def rows_of(counts: Cells, dimension: str) -> set[tuple[int, str]]:
    """The spans and types of the rows of a dimension."""
    return {(key.span, key.event_type) for key in counts if key.key == dimension}


positions = st.integers(UNCOUNTED, 2)
groups = st.lists(st.tuples(positions, positions), min_size=1, max_size=3).flatmap(
    lambda events: st.builds(
        EventGroup,
        st.integers(DAY, DAY + 1),
        st.sampled_from("tuv"),
        st.sampled_from("ab"),
        st.just([*range(len(events))]),
        st.just([[page for page, _ in events], [os for _, os in events]]),
    )
)


@examples(300)
@given(
    events=st.lists(groups, max_size=5),
    limits=st.sampled_from(list(itertools.product((1, 2, 9), (1, 2, 9)))),
)
def test_all_rows_are_found_again_whatever_is_left_out(
    events: list[EventGroup], limits: tuple[int, int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "MAX_VALUES", limits[0])
        patch.setattr(cells, "MAX_EXACT_NAMES", limits[1])
        all_ = gathered(*events)
    assert fill_in(SPARSE, leave_out(all_)) == all_
    assert len(leave_out(all_)) <= len(all_) + 3  # contents of two hours and a day
    over_all = without_names(all_)
    assert fill_in(SPARSE, leave_out(over_all)) == over_all


def test_a_dimension_without_values_has_no_row_of_the_name_and_contents_say_so() -> None:
    all_ = gathered(
        EventGroup(DAY, "t", "a", [4, 5], [[1, 0], 0]), EventGroup(DAY, "u", "a", [6], [0, 0])
    )
    stored = leave_out(all_)
    assert rows_of(all_, "$os") == {(s, n) for s in (HOUR_SPAN, DAY_SPAN) for n in ("t", "u", ANY)}
    assert rows_of(stored, "$os") == set()
    assert rows_of(stored, "page") == {(s, n) for s in (HOUR_SPAN, DAY_SPAN) for n in ("t", ANY)}
    contents = stored[RollupKey(DAY_SPAN, DAY, CONTENTS, ANY, ANY)]
    assert contents == {"$os,page": cell(0)}
    assert {key for key in all_ if key.key == ANY} <= stored.keys()


def test_what_is_not_counted_is_not_taken_for_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    uncounted = gathered(EventGroup(DAY, "t", "a", [4, 5], [[0, UNCOUNTED], UNCOUNTED]))
    stored = leave_out(uncounted)
    assert stored[RollupKey(HOUR_SPAN, DAY, "page", "t", "a")] == {None: cell(1, 4)}
    assert stored[RollupKey(HOUR_SPAN, DAY, "$os", "t", "a")] == {}
    monkeypatch.setattr(cells, "MAX_EXACT_NAMES", 1)
    crowded = gathered(
        EventGroup(DAY, "t", "a", [4], [0, 0]), EventGroup(DAY, "t", "b", [4], [0, 0])
    )
    assert leave_out(crowded) == crowded


def test_a_part_of_another_release_has_all_its_rows_and_its_contents_count_for_nothing() -> None:
    all_ = gathered(EventGroup(DAY, "t", "a", [4], [0, 1]))
    stored = leave_out(all_)
    assert fill_in(FULL, all_) == all_
    assert rows_of(fill_in(FULL, stored), "page") == set()
    assert CONTENTS not in {key.key for key in fill_in(FULL, stored)}
    assert (is_sparse(SPARSE), is_sparse(FULL)) == (True, False)


def test_contents_add_up_to_nothing_and_are_the_key_of_no_dimension() -> None:
    stored = leave_out(gathered(EventGroup(DAY, "t", "a", [4], [0, 0])))
    contents = stored[RollupKey(HOUR_SPAN, DAY, CONTENTS, ANY, ANY)]
    assert sum(each.count for each in contents.values()) == 0
    assert BitMap.union(*(each.people for each in contents.values())) == BitMap()
    assert CONTENTS not in settings.load({"ROLLUP_DIMENSIONS": "a,,b,"}).rollup_dimensions
