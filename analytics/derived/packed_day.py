"""A packed day: the events of a project on one UTC day as columns, about ten bytes an event.

Rows stand in order of person, time and id. They come from PostgreSQL as binary records (RECORD), in
groups of the same event name. The order within one person is fixed here. Where two people turn out
to be one, their rows are merged by time; `tie_ranks` then order rows of the same instant.

The numpy form of the record (RECORD) and the SQL that writes it (RECORD_SQL) stand side by side,
because one describes the other. The SQL is a piece of text; nothing here runs it.
"""

from collections.abc import Iterable
from functools import cached_property
from sys import getsizeof
from typing import NamedTuple

import msgspec
import numpy as np
import zstandard

from analytics import events
from analytics.derived.arrays import Array, runs
from analytics.derived.instants import HOUR_US, POSTGRES_EPOCH_US, SILENCE_US

EventName = tuple[str, str, str | None]
"""A type, an action, and the value of a field where rows are split by one."""

RECORD = np.dtype([("person", ">u4"), ("at", ">i8"), ("id", ">u8", 2), ("session", ">u8")])
"""One row: the number of its actor, microseconds since 2000, its id, the hash of its session.

The session is NO_SESSION_HASH where the sender named none.
"""

NO_SESSION_HASH = 0

RECORD_SQL = (
    "int4send(number) || timestamptz_send(timestamp) || uuid_send(id) || int8send(\n"
    f"    CASE WHEN session_id LIKE '{events.DERIVED_SESSION_PREFIX}%' THEN {NO_SESSION_HASH}"
    f" ELSE coalesce(nullif(hashtextextended(session_id, 0), {NO_SESSION_HASH}), 1) END\n)"
)
"""SQL that makes a RECORD of a row of raw_events joined with `people`.

Null where the actor has no number. A hash that happens to be NO_SESSION_HASH becomes 1.
"""

MAX_ROWS = 2_000_000
"""A larger day is not packed: sorting it takes about 150 bytes a row."""

FORMAT = 1
"""The first byte of an encoded day; every change of what follows needs another number."""

_OVERHEAD_BYTES = 1000
_NAME_BYTES = 250

FINE_US = 256
"""A row's microseconds within its day are `coarse` times this, plus `fine`."""


class NamedRecords(NamedTuple):
    """The rows of one event name: how many, and their records joined into one string of bytes.

    Rows whose actor has no number are counted but have no record.
    """

    name: EventName
    rows: int
    records: bytes


class UnnumberedActor(Exception):
    """Some rows belong to an actor without a number."""


class Day(msgspec.Struct, frozen=True, dict=True):
    """The columns of a day, one entry a row unless stated otherwise.

    Row i belongs to the person in whose range of `offsets` i lies, has the name `names[codes[i]]`,
    and lies in the stretch in whose range of `stretch_offsets` i lies.
    """

    start: int
    """The day's first hour, since 1970."""
    names: list[EventName]
    persons: Array
    """uint32, ascending, one entry a person: their numbers."""
    offsets: Array
    """uint32, one more than persons: where the rows of each begin."""
    coarse: Array
    """uint32: the time within the day, in units of FINE_US."""
    fine: Array
    """uint8: the rest, in microseconds."""
    codes: Array
    """The position of the row's name in `names`: uint8, or wider where there are many."""
    stretches: Array
    """uint32, one entry a stretch: the position of its session in `sessions`.

    A stretch is a run of rows of one person with the same session. Where the sender named no
    session, a silence of more than SILENCE_US ends the stretch too.
    """
    stretch_offsets: Array
    """uint32, one more than stretches: where the rows of each begin."""
    sessions: Array
    """uint64, ascending, one entry a session: hashes, NO_SESSION_HASH always first."""
    tied: Array
    """uint32, ascending: rows at the same instant as some row before them by time and id."""
    ranks: Array
    """uint32, one entry for each in `tied`: how many rows of that instant come before it."""

    @property
    def rows(self) -> int:
        return len(self.codes)

    @cached_property
    def size_bytes(self) -> int:
        """The memory it takes, roughly, in bytes."""
        columns = sum(column.nbytes for column in self.columns)
        keys = sum(getsizeof(key) for _, _, key in self.names)
        return _OVERHEAD_BYTES + _NAME_BYTES * len(self.names) + keys + columns

    @property
    def columns(self) -> list[Array]:
        """The arrays in the order of the format."""
        return [
            self.persons,
            self.offsets,
            self.coarse,
            self.fine,
            self.codes,
            self.stretches,
            self.stretch_offsets,
            self.sessions,
            self.tied,
            self.ranks,
        ]

    def times(self, rows: slice | Array) -> Array:
        """int64: when some rows happened, in microseconds since 1970."""
        times = self.coarse[rows].astype(np.int64)
        times *= FINE_US
        times += self.fine[rows]
        times += self.start * HOUR_US
        return times

    def tie_ranks(self, positions: slice | Array) -> Array:
        """For each of some rows, how many rows of the day at the same instant come before it."""
        rows = np.arange(self.rows, dtype=np.uint32)[positions]
        if not len(self.tied):
            return np.zeros(len(rows), np.uint32)
        nearest = np.minimum(np.searchsorted(self.tied, rows), len(self.tied) - 1)
        return np.where(self.tied[nearest] == rows, self.ranks[nearest], np.uint32(0))

    def same(self, other: "Day") -> bool:
        """Whether the other has the same rows."""
        return self.names == other.names and all(map(np.array_equal, self.columns, other.columns))

    def encode(self) -> bytes:
        """The day as `packed_days` stores it: FORMAT, then compressed msgpack."""
        packed = [(column.dtype.str, column.tobytes()) for column in self.columns]
        return bytes([FORMAT]) + zstandard.ZstdCompressor(level=3).compress(
            msgspec.msgpack.encode((self.start, self.names, packed))
        )

    @classmethod
    def decode(cls, data: bytes) -> "Day":
        """The inverse of `encode`. The caller has checked that the first byte is FORMAT."""
        start, names, packed = _decoder.decode(zstandard.ZstdDecompressor().decompress(data[1:]))
        return cls(start, names, *(np.frombuffer(column, dtype) for dtype, column in packed))


_decoder = msgspec.msgpack.Decoder(tuple[int, list[EventName], list[tuple[str, bytes]]])


def pack(start: int, groups: Iterable[NamedRecords]) -> Day:
    """The columns of the day that begins with the hour `start`. Raises UnnumberedActor."""
    ordered = sorted(groups, key=_name_order)
    if any(len(group.records) != group.rows * RECORD.itemsize for group in ordered):
        raise UnnumberedActor
    names, sizes = [group.name for group in ordered], [group.rows for group in ordered]
    records = np.frombuffer(b"".join(group.records for group in ordered), RECORD)
    persons, at = records["person"].astype(np.uint32), records["at"].astype(np.int64)
    order = _order(persons, at, records["id"])
    persons, at, ids = persons[order], at[order], records["id"][order]
    codes = np.repeat(np.arange(len(names), dtype=np.min_scalar_type(len(names))), sizes)[order]
    at += POSTGRES_EPOCH_US - start * HOUR_US
    # NO_SESSION_HASH goes in first, so that it has the position 0 whether any row has it or not
    sessions, session = np.unique(
        np.append(np.uint64(NO_SESSION_HASH), records["session"][order].astype(np.uint64)),
        return_inverse=True,
    )
    firsts = runs(persons)
    # session[1:] are the rows' own; a silence counts between two rows when the later has no session
    silences = np.append(0, np.cumsum((np.diff(at) > SILENCE_US) & (session[2:] == 0)))[: len(at)]
    stretches = runs(session[1:], persons, silences)
    tied, ranks = _ties(at, ids)
    return Day(
        start,
        names,
        persons[firsts],
        _offsets(firsts, len(persons)),
        (at // FINE_US).astype(np.uint32),
        (at % FINE_US).astype(np.uint8),
        codes,
        session[1:][stretches].astype(np.uint32),
        _offsets(stretches, len(persons)),
        sessions,
        tied,
        ranks,
    )


def _name_order(group: NamedRecords) -> tuple[str, str, bool, str]:
    """By type, action and field value, absent values last."""
    event_type, action, value = group.name
    return event_type, action, value is None, value or ""


def _offsets(firsts: Array, rows: int) -> Array:
    return np.append(firsts, rows).astype(np.uint32)


def _order(persons: Array, at: Array, ids: Array) -> Array:
    """By person, time and id. Ids are only read where person and time are equal, which is rare."""
    order = np.lexsort((at, persons))
    same = (persons[order][1:] == persons[order][:-1]) & (at[order][1:] == at[order][:-1])
    return np.lexsort((ids[:, 1], ids[:, 0], at, persons)) if same.any() else order


def _ties(at: Array, ids: Array) -> tuple[Array, Array]:
    """The rows that are not the first of their instant by id, and their ranks in that instant."""
    order = np.argsort(at, kind="stable")
    repeats = at[order][1:] == at[order][:-1]
    same = np.zeros(len(at), bool)
    same[1:] |= repeats
    same[:-1] |= repeats
    rows = order[same]
    rows = rows[np.lexsort((ids[rows, 1], ids[rows, 0], at[rows]))]
    firsts = runs(at[rows])
    ranks = np.arange(len(rows)) - np.repeat(firsts, np.diff(np.append(firsts, len(rows))))
    later = np.flatnonzero(ranks)
    tied = rows[later]
    by_row = np.argsort(tied)
    return tied[by_row].astype(np.uint32), ranks[later][by_row].astype(np.uint32)
