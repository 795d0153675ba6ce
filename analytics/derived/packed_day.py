"""Day: the rows of a project on one UTC day as columns, in order of person, time and id; some ten
bytes a row.

Rows come as records, which PostgreSQL makes of them (RECORD), in groups of the same name. The order
of rows of one person is theirs; should two people turn out to be one, `turns` put rows of the same
instant in order.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from analytics import events
from analytics.derived.instants import HOUR_US, POSTGRES_EPOCH_US, SILENCE_US

Array = NDArray[Any]

Name = tuple[str, str, str | None]
"""A type, an action, and what a field holds if rows are told apart by one."""

RECORD = np.dtype([("person", ">u4"), ("at", ">i8"), ("id", ">u8", 2), ("session", ">u8")])
"""A row: its actor's number, microseconds since 2000, its id, its session (UNTOLD, or a hash of
what it tells).
"""

UNTOLD = 0

AS_RECORD = f"""int4send(number) || timestamptz_send(timestamp) || uuid_send(id) || int8send(
    CASE WHEN session_id LIKE '{events.UNTOLD}%' THEN {UNTOLD} ELSE coalesce(nullif(hashtextextended(session_id, 0), {UNTOLD}), 1) END
)"""
"""What makes a record of a row of raw_events that has been joined with `people`; null where the
actor has no number.
"""

MAX_ROWS = 2_000_000
"""Of a day that is packed: while it is put in order it takes some 150 bytes a row."""

FORMAT = 1
"""The first byte of an encoded day; another one for every change of what follows."""

_OVERHEAD = 1000
_NAME_BYTES = 250

FINE = 256
"""An instant's microseconds in its day are kept as `coarse` of these and a `fine` rest."""


class Group(NamedTuple):
    """Rows of one name: how many, and the records of those whose actor has a number, one after the
    other.
    """

    name: Name
    rows: int
    records: bytes


class Strangers(Exception):
    """Some rows are of actors without a number."""


class Day(msgspec.Struct, frozen=True, dict=True):
    """Row i is of the person in whose range `offsets` i lies, of name `codes[i]`, in the session in
    whose range `visit_offsets` i lies.
    """

    start: int
    """The day's first hour, since 1970."""
    names: list[Name]
    persons: Array
    """uint32, ascending."""
    offsets: Array
    """uint32, one more than persons: where the rows of each begin."""
    coarse: Array
    fine: Array
    codes: Array
    """Which of the names: uint8, or wider where there are many."""
    visits: Array
    """uint32: which of `sessions`, of rows in a row that have the same, are of one person and,
    where nobody tells it, are parted by no silence.
    """
    visit_offsets: Array
    """uint32, one more than visits."""
    sessions: Array
    """uint64, ascending: hashes, and UNTOLD first."""
    tied: Array
    """uint32, ascending: rows of the same instant as some row before them in the order of time and
    id.
    """
    turns: Array
    """uint32: how many rows of the same instant are before each of these."""

    @property
    def rows(self) -> int:
        return len(self.codes)

    @cached_property
    def size(self) -> int:
        """Bytes, roughly."""
        return (
            _OVERHEAD
            + _NAME_BYTES * len(self.names)
            + sum(column.nbytes for column in self.columns)
        )

    @property
    def columns(self) -> list[Array]:
        return [
            self.persons,
            self.offsets,
            self.coarse,
            self.fine,
            self.codes,
            self.visits,
            self.visit_offsets,
            self.sessions,
            self.tied,
            self.turns,
        ]

    def times(self, rows: slice | Array) -> Array:
        """int64: microseconds since 1970 of some rows."""
        found = self.coarse[rows].astype(np.int64)
        found *= FINE
        found += self.fine[rows]
        found += self.start * HOUR_US
        return found

    def turns_of(self, places: slice | Array) -> Array:
        """How many rows of the day and the same instant are before each of some."""
        rows = np.arange(self.rows, dtype=np.uint32)[places]
        if not len(self.tied):
            return np.zeros(len(rows), np.uint32)
        places = np.minimum(np.searchsorted(self.tied, rows), len(self.tied) - 1)
        return np.where(self.tied[places] == rows, self.turns[places], np.uint32(0))

    def same(self, other: "Day") -> bool:
        """Whether the other has the same rows."""
        return self.names == other.names and all(map(np.array_equal, self.columns, other.columns))

    def encode(self) -> bytes:
        """As it is stored."""
        packed = [(column.dtype.str, column.tobytes()) for column in self.columns]
        return bytes([FORMAT]) + zstandard.ZstdCompressor(level=3).compress(
            msgspec.msgpack.encode((self.start, self.names, packed))
        )

    @classmethod
    def decode(cls, data: bytes) -> "Day":
        """What `encode` made, as its first byte says."""
        start, names, packed = _decoder.decode(zstandard.ZstdDecompressor().decompress(data[1:]))
        return cls(start, names, *(np.frombuffer(column, dtype) for dtype, column in packed))


_decoder = msgspec.msgpack.Decoder(tuple[int, list[Name], list[tuple[str, bytes]]])


def pack(start: int, groups: Iterable[Group]) -> Day:
    """The columns of a day. Raises Strangers where an actor has no number."""
    known = sorted(
        groups,
        key=lambda group: (
            group.name[0],
            group.name[1],
            group.name[2] is None,
            group.name[2] or "",
        ),
    )
    if any(len(group.records) != group.rows * RECORD.itemsize for group in known):
        raise Strangers
    records = np.frombuffer(b"".join(group.records for group in known), RECORD)
    persons, at = records["person"].astype(np.uint32), records["at"].astype(np.int64)
    order = _order(persons, at, records["id"])
    persons, at, ids = persons[order], at[order], records["id"][order]
    codes = np.repeat(
        np.arange(len(known), dtype=np.min_scalar_type(len(known))), [group.rows for group in known]
    )[order]
    at += POSTGRES_EPOCH_US - start * HOUR_US
    sessions, session = np.unique(
        np.append(np.uint64(UNTOLD), records["session"][order].astype(np.uint64)),
        return_inverse=True,
    )
    firsts = runs(persons)
    silences = np.append(0, np.cumsum((np.diff(at) > SILENCE_US) & (session[2:] == 0)))[: len(at)]
    visits = runs(session[1:], persons, silences)
    tied, turns = _turns(at, ids)
    return Day(
        start,
        [group.name for group in known],
        persons[firsts],
        _offsets(firsts, len(persons)),
        (at // FINE).astype(np.uint32),
        (at % FINE).astype(np.uint8),
        codes,
        session[1:][visits].astype(np.uint32),
        _offsets(visits, len(persons)),
        sessions,
        tied,
        turns,
    )


def runs(*columns: Array) -> Array:
    """Where runs of rows begin in which no column changes."""
    changes = np.zeros(len(columns[0]), bool)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes)


def stretched(firsts: Array, lengths: Array) -> Array:
    """The places of runs, each from its first on."""
    ends = np.cumsum(lengths, dtype=np.int64)
    return np.repeat(firsts.astype(np.int64) - ends + lengths, lengths) + np.arange(
        ends[-1] if len(ends) else 0
    )


def distinct(values: Array) -> Array:
    """What there is, ascending; np.unique hashes integers, which takes many times as long as to
    sort them.
    """
    ordered = np.sort(values)
    found: Array = ordered[runs(ordered)]
    return found


def _offsets(firsts: Array, rows: int) -> Array:
    return np.append(firsts, rows).astype(np.uint32)


def _order(persons: Array, at: Array, ids: Array) -> Array:
    """By person, time and id; ids are only looked at where they decide."""
    order = np.lexsort((at, persons))
    same = (persons[order][1:] == persons[order][:-1]) & (at[order][1:] == at[order][:-1])
    return np.lexsort((ids[:, 1], ids[:, 0], at, persons)) if same.any() else order


def _turns(at: Array, ids: Array) -> tuple[Array, Array]:
    """Which rows are not the first of their instant, by id, and how many are before each of them."""
    order = np.argsort(at, kind="stable")
    repeats = at[order][1:] == at[order][:-1]
    same = np.zeros(len(at), bool)
    same[1:] |= repeats
    same[:-1] |= repeats
    rows = order[same]
    rows = rows[np.lexsort((ids[rows, 1], ids[rows, 0], at[rows]))]
    firsts = runs(at[rows])
    turns = np.arange(len(rows)) - np.repeat(firsts, np.diff(np.append(firsts, len(rows))))
    found = np.flatnonzero(turns)
    tied = rows[found]
    by_row = np.argsort(tied)
    return tied[by_row].astype(np.uint32), turns[found][by_row].astype(np.uint32)
