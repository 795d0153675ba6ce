"""Cells: each event counts in its hour and day, under its own and wider names; rows are addends."""

import pytest
from pyroaring import BitMap

from analytics.derived import cells
from analytics.derived.cells import (
    ANY,
    Cell,
    RollupKey,
    add_up,
    gather,
    nameless_days,
    pack,
    too_many_names,
    unpack,
    without_names,
)
from analytics.derived.deltas import UNCOUNTED, Delta, EventGroup
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN

DAY = 24 * 20_000


def cell(count: int, *people: int) -> Cell:
    return Cell(count, BitMap(people))


def delta(*groups: EventGroup) -> Delta:
    return Delta(["page"], [None, "/", "/b"], list(groups))


def test_an_event_counts_in_its_hour_and_its_day_under_three_names() -> None:
    event = EventGroup(DAY + 7, "t", "a", [4], [1])
    keys = {
        RollupKey(span, start, key, *name): {"/" if key else None: cell(1, 4)}
        for span, start in ((HOUR_SPAN, DAY + 7), (DAY_SPAN, DAY))
        for key in (ANY, "page")
        for name in (("t", "a"), ("t", ANY), (ANY, ANY))
    }
    assert gather([delta(event)]) == keys


def test_groups_of_several_deltas_add_up_and_a_person_is_one_person() -> None:
    counts = gather(
        [
            delta(EventGroup(DAY, "t", "a", [4, 4, 5], [[1, 2, UNCOUNTED]])),
            delta(EventGroup(DAY + 23, "t", "b", [4], [0])),
        ]
    )
    assert counts[RollupKey(DAY_SPAN, DAY, ANY, ANY, ANY)] == {None: cell(4, 4, 5)}
    assert counts[RollupKey(DAY_SPAN, DAY, "page", "t", ANY)] == {
        None: cell(1, 4),
        "/": cell(1, 4),
        "/b": cell(1, 4),
    }


def test_a_row_of_too_many_values_is_empty_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = delta(
        EventGroup(DAY, "t", "a", [1, 2], [[1, 2]]), EventGroup(DAY + 1, "t", "a", [3], [0])
    )
    for most, pages in ((3, {HOUR_SPAN, DAY_SPAN}), (2, {HOUR_SPAN}), (1, {HOUR_SPAN})):
        monkeypatch.setattr(cells, "MAX_VALUES", most)
        counts = gather([events])
        assert {key.span for key in counts if key.key == "page"} == {HOUR_SPAN, DAY_SPAN}
        assert {key.span for key, values in counts.items() if key.key and values} == pages
        assert counts[RollupKey(DAY_SPAN, DAY, ANY, "t", "a")] == {None: cell(3, 1, 2, 3)}


def test_with_too_many_names_only_rows_over_all_names_have_dimensions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = delta(EventGroup(DAY, "t", "a", [1], [1]), EventGroup(DAY, "t", "b", [1], [1]))
    for most, types in ((2, {"t", ANY}), (1, {ANY})):
        monkeypatch.setattr(cells, "MAX_EXACT_NAMES", most)
        counts = gather([events])
        assert {key.event_type for key in counts if key.key == "page"} == types
        assert counts[RollupKey(HOUR_SPAN, DAY, ANY, "t", "b")] == {None: cell(1, 1)}


def test_cells_come_back_from_a_row() -> None:
    values = {None: cell(3, 0, 2**32 - 1), "": cell(1, 7), "/ü": cell(2**40, 7)}
    assert unpack(pack(values)) == values
    assert unpack(pack({})) == {}


def test_adding_rows_up_changes_none_of_them() -> None:
    first: dict[str | None, Cell] = {"a": cell(1, 1), "b": cell(1, 2)}
    second: dict[str | None, Cell] = {"a": cell(2, 1, 3)}
    assert add_up([first, second]) == {"a": cell(3, 1, 3), "b": cell(1, 2)}
    assert (first["a"], second["a"]) == (cell(1, 1), cell(2, 1, 3))
    assert add_up([]) == {}


def test_a_nameless_day_counts_over_all_names_only_and_other_days_are_as_ever() -> None:
    groups = [EventGroup(hour, "t", "a", [1], [1]) for hour in (DAY, DAY + DAY_SPAN)]
    counts = gather([delta(*groups)], {DAY})
    whole = gather([delta(*groups)])
    assert counts == {
        key: values for key, values in whole.items() if key.start > DAY or key.event_type == ANY
    }
    assert without_names(counts) == without_names(whole)


def test_a_day_is_nameless_by_its_pairs_of_type_and_action(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MAX_NAMES", 2)
    pairs = [("t", "a"), ("t", "b"), ("t", "b"), ("u", "a")]
    groups = [EventGroup(DAY + at, *pair, [1], [0]) for at, pair in enumerate(pairs)]
    assert nameless_days([delta(group) for group in groups]) == {DAY}
    assert nameless_days([delta(group) for group in groups[:3]]) == set()
    assert too_many_names(gather([delta(*groups)]))
    assert not too_many_names(gather([delta(*groups[:3])]))
