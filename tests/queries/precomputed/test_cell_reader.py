"""Cells of blocks: rows of rollups added up, and the names under which they are cached."""

from typing import NamedTuple

from pyroaring import BitMap

from analytics.derived.cells import ANY, Cell, pack
from analytics.derived.instants import DAY_SPAN, HOUR_SPAN
from analytics.derived.sparse import CONTENTS, contents
from analytics.queries.database.memory import MemoryEntry
from analytics.queries.language.fields import Field
from analytics.queries.precomputed.cell_reader import CellReader, cache_keys
from analytics.queries.precomputed.pieces import Block
from analytics.queries.precomputed.plan import Plan, rollup_plan
from tests.queries.precomputed.test_plan import query

DAY = Block(0, DAY_SPAN, range(24, 25))
HOURS = Block(1, HOUR_SPAN, range(48, 51))


class Stored(NamedTuple):
    """A row of `rollups` as it is read."""

    span: int
    start: int
    part: int
    key: str
    event_type: str
    event_action: str
    counts: bytes
    people: bytes


def plan(by: str | None = None) -> Plan:
    planned = rollup_plan(query(), Field.read(by) if by else None)
    assert planned
    return planned


def rollup(span: int, start: int, key: str, *, part: int = 7, **people: list[int]) -> Stored:
    """A row of type t and action x; `_` is the value that is missing."""
    cells = {
        None if value == "_" else value: Cell(len(numbers), BitMap(numbers))
        for value, numbers in people.items()
    }
    return Stored(span, start, part, key, "t", "x", *pack(cells))


def read_cells(
    blocks: list[Block], plan: Plan, rows: list[Stored], people: bool
) -> dict[Block, MemoryEntry]:
    reader = CellReader(blocks, plan, people)
    reader.add(rows)
    return reader.cells()


def test_the_rows_of_a_block_are_added_up_and_blocks_are_kept_apart() -> None:
    rows = [
        rollup(DAY_SPAN, 24, ANY, _=[1, 2]),
        rollup(HOUR_SPAN, 48, ANY, _=[1, 2, 2]),
        rollup(HOUR_SPAN, 50, ANY, _=[3]),
    ]
    entries = read_cells([DAY, HOURS], plan(), rows, people=True)
    cells = {block: entry.cells["t", "x", None] for block, entry in entries.items()}
    assert {block: (sum_.count, sum_.people) for block, sum_ in cells.items()} == {
        DAY: (2, BitMap([1, 2])),
        HOURS: (4, BitMap([1, 2, 3])),
    }


def test_people_are_not_read_where_only_counts_are_asked_for() -> None:
    rows = [rollup(DAY_SPAN, 24, ANY, _=[1, 2])]
    counts, with_people = (
        read_cells([DAY], plan(), rows, people=people)[DAY] for people in (False, True)
    )
    assert counts.cells["t", "x", None].people == BitMap()
    assert (counts.people, with_people.people) == (False, True)
    assert counts.size_bytes < with_people.size_bytes


def test_a_dimension_of_which_events_are_missing_is_no_answer() -> None:
    all_ = rollup(DAY_SPAN, 24, ANY, _=[1, 2, 3])
    whole = [all_, rollup(DAY_SPAN, 24, "k", a=[1, 2], _=[3])]
    cells = read_cells([DAY], plan("metadata.k"), whole, people=True)[DAY].cells
    assert {name: sum_.count for name, sum_ in cells.items()} == {
        ("t", "x", "a"): 2,
        ("t", "x", None): 1,
    }
    lacking = [all_, rollup(DAY_SPAN, 24, "k", a=[1, 2])]
    assert read_cells([DAY], plan("metadata.k"), lacking, people=True)[DAY].cells is None


def test_a_row_that_a_sparse_part_leaves_out_is_that_without_the_dimension() -> None:
    without = rollup(HOUR_SPAN, 48, ANY, part=-1, _=[1, 2])
    rows = [without, rollup(HOUR_SPAN, 50, ANY, _=[2, 3]), rollup(HOUR_SPAN, 50, "k", a=[2], _=[3])]

    def filled(*named: Stored) -> MemoryEntry:
        reader = CellReader([HOURS], plan("metadata.k"), people=True)
        reader.add(rows)
        assert reader.sparse_parts() == {-1}
        reader.fill_in([*named, without])
        return reader.cells()[HOURS]

    def contents_of(start: int, *dimensions: str) -> Stored:
        return Stored(HOUR_SPAN, start, -1, CONTENTS, ANY, ANY, *pack(contents(dimensions)))

    cells = filled(contents_of(48, "k", "l")).cells
    assert {name: (sum_.count, sum_.people) for name, sum_ in cells.items()} == {
        ("t", "x", "a"): (1, BitMap([2])),
        ("t", "x", None): (3, BitMap([1, 2, 3])),
    }
    for other in ((), [contents_of(49, "k")], [contents_of(48, "l")]):
        assert filled(*other).cells is None


def test_a_row_that_a_sparse_part_has_is_not_filled_in_beside_another() -> None:
    without = rollup(HOUR_SPAN, 48, ANY, part=-1, _=[1, 2])
    other = without._replace(event_type="u")
    named = Stored(HOUR_SPAN, 48, -1, CONTENTS, ANY, ANY, *pack(contents(["k"])))
    reader = CellReader([HOURS], plan("metadata.k"), people=True)
    reader.add([without, other, rollup(HOUR_SPAN, 48, "k", part=-1, a=[1, 2])])
    reader.fill_in([named, without, other])
    cells = reader.cells()[HOURS].cells
    assert {name: sum_.count for name, sum_ in cells.items()} == {
        ("t", "x", "a"): 2,
        ("u", "x", None): 2,
    }


def test_only_parts_that_may_lack_a_row_are_looked_into() -> None:
    rows = [rollup(DAY_SPAN, 24, ANY, part=-1, _=[1]), rollup(DAY_SPAN, 24, ANY, part=1, _=[2])]
    for more, by, parts in (
        ([], "metadata.k", {-1}),
        ([], None, set()),
        ([rollup(DAY_SPAN, 24, "k", part=-1, a=[1])], "metadata.k", set()),
        ([rollup(DAY_SPAN, 24, "k", part=-1)], "metadata.k", set()),
    ):
        reader = CellReader([DAY], plan(by), people=False)
        reader.add([*rows, *more])
        assert reader.sparse_parts() == parts


def test_the_name_of_cells_says_of_which_parts_they_are_and_a_block_without_parts_has_none() -> (
    None
):
    empty = Block(2, HOUR_SPAN, range(52, 60))
    parts = [(HOUR_SPAN, [47, 48, 48, 50, 51], [1, 2, 3, 4, 5]), (DAY_SPAN, [24], [6])]
    keys = cache_keys("p", [DAY, HOURS, empty], plan(), parts)
    assert keys == {
        DAY: ("p", DAY_SPAN, (24,), (6,), plan().name),
        HOURS: ("p", HOUR_SPAN, (48, 48, 50), (2, 3, 4), plan().name),
    }
