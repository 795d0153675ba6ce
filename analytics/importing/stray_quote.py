"""Whether a quoted cell of CSV seems to have taken in whole rows: a quote too many began it."""

import csv
from collections.abc import Sequence
from itertools import takewhile

from analytics.importing.times import is_text

LEAST_DELIMITERS = 3
"""Fewer delimiters in a cell say nothing: text has some too."""


def took_rows(cells: Sequence[str], further: Sequence[str], delimiter: str) -> bool:
    """Whether each further line of a row, read alone, is like a row of the same table.

    cells  of the row
    further   its lines but the first, without blank ones

    Such a line has as many cells. None of them begins with a blank, as it would after a comma of
    prose; and those left of the quoted cell are times where the row's are. Nothing else decides,
    so that any import of a file finds the same rows.
    """
    left = list(takewhile(lambda cell: "\n" not in cell, cells))
    delimiters = (len(further) - 1) * (len(cells) - 1) + len(left)
    return (
        len(further) > 0
        and delimiters >= LEAST_DELIMITERS
        and all(_is_like(line, cells, left, delimiter) for line in further)
    )


def _is_like(line: str, cells: Sequence[str], left: Sequence[str], delimiter: str) -> bool:
    try:
        alone = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return False
    return (
        len(alone) == len(cells)
        and not any(cell[:1].isspace() for cell in alone)
        and all(is_text(one) == is_text(other) for one, other in zip(left, alone, strict=False))
    )
