"""Sparse parts: a dimension stores no row for a name whose events have no value of it.

Such a row would repeat the row of the name without a dimension. So a part leaves it out, and
whoever reads the part reads that row in its place. Each hour and day of a part says in a row of its
own, the contents, of which dimensions rows are left out: there, no row means no values. Elsewhere
it means, as ever, that the dimension is not counted.

Releases that know nothing of this find that a dimension without a row does not add up, and read raw
events. If they merge such parts, the result is not sparse: it has another kind of number.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from pyroaring import BitMap

from analytics.derived.cells import ANY, Cell, Cells, RollupKey, unpack_counts

CONTENTS = ","
"""The key of the contents. Their only cell has a list of dimensions as its value, separated by it.

So it is no dimension itself. The cell counts no events: who takes it for one finds none counted.
"""


def is_sparse(part: int) -> bool:
    """Whether a part may leave rows out, by its number. Other releases write numbers from 0 up."""
    return part < 0


def contents(dimensions: Iterable[str]) -> dict[str | None, Cell]:
    """The cells of the contents that name these dimensions."""
    return {CONTENTS.join(sorted(dimensions)): Cell(0, BitMap())}


def dimensions_of(values: Iterable[str | None]) -> list[str]:
    """The dimensions that the contents name, by the values of their cells."""
    return [dimension for value in values for dimension in (value or "").split(CONTENTS)]


def unpack_contents(counts: bytes) -> list[str]:
    """The dimensions that the contents name, from their packed counts."""
    return dimensions_of(unpack_counts(counts)[0])


def leave_out(cells: Cells) -> Cells:
    """The rows of a part from all rows: without those that need not be there, with contents.

    Rows are left out only of dimensions that have a row for each name of the hour or day. So those
    of too many names, which are not there either, are never taken for such.
    """
    names = Counter(key[:2] for key in cells if key.key == ANY)
    rows = Counter(key[:3] for key in cells if key.key != ANY)
    dimensions: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    for (span, start, dimension), each in rows.items():
        if each == names[span, start]:
            dimensions[span, start].add(dimension)
    kept = {
        key: values
        for key, values in cells.items()
        if key.key not in dimensions.get(key[:2], ())
        or not _repeats(values, cells[key._replace(key=ANY)])
    }
    return kept | {
        RollupKey(*bucket, CONTENTS, ANY, ANY): contents(each)
        for bucket, each in dimensions.items()
    }


def fill_in(part: int, cells: Cells) -> Cells:
    """All rows from those of a part, the inverse of `leave_out`."""
    all_ = {key: values for key, values in cells.items() if key.key != CONTENTS}
    if is_sparse(part):
        for key in [key for key in all_ if key.key == ANY]:
            for dimension in dimensions_of(cells.get(RollupKey(*key[:2], CONTENTS, ANY, ANY), ())):
                all_.setdefault(key._replace(key=dimension), all_[key])
    return all_


def _repeats(values: Mapping[str | None, Cell], whole: Mapping[str | None, Cell]) -> bool:
    """Whether a row of a dimension has only the events of the row without one: all, no value."""
    return values.keys() == whole.keys() and values[None].count == whole[None].count
