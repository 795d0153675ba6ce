"""Small tools for numpy columns: where runs of equal rows begin, and which values occur."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def runs(*columns: Array) -> Array:
    """The first position of each run of rows in which no column changes."""
    changes = np.zeros(len(columns[0]), bool)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes)


def positions_of_runs(firsts: Array, lengths: Array) -> Array:
    """All positions of some runs, given the first position and the length of each: int64."""
    ends = np.cumsum(lengths, dtype=np.int64)
    total = ends[-1] if len(ends) else 0
    return np.repeat(firsts.astype(np.int64) - ends + lengths, lengths) + np.arange(total)


def distinct(values: Array) -> Array:
    """The values that occur, ascending.

    np.unique hashes integers, which takes many times as long as sorting them.
    """
    ordered = np.sort(values)
    firsts: Array = ordered[runs(ordered)]
    return firsts
