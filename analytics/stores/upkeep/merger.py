"""Merges parts of `rollups`: FAN parts of one level become one part of the next level.

It is a log-structured merge, so a cell is rewritten only as often as the logarithm of the number of
parts. No answer changes by it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence, Set

import asyncpg

from analytics.derived.cells import (
    ANY,
    MAX_NAMES,
    RollupKey,
    Row,
    add_up,
    empty_if_large,
    pack,
    unpack,
)
from analytics.derived.instants import DAY_SPAN, HOUR_SECONDS, HOUR_SPAN
from analytics.derived.sparse import CONTENTS, contents, is_sparse, unpack_contents
from analytics.stores.upkeep import coverage
from analytics.stores.upkeep.parts import Bucket, copy, new_number

FAN = 8
"""So many parts of one level of an hour or a day are merged into one."""

READ_AT_ONCE = 200
MERGED_BYTES = 4 * 1024 * 1024
"""Rows that are read at a time, and the bytes of those that are merged at a time."""

CROWDED = f"""
SELECT project, span, start, level, array_agg(part) AS parts
FROM rollups
JOIN unnest($1::varchar[], $2::smallint[], $3::int[]) AS touched (project, span, start)
    USING (project, span, start)
WHERE key = '' AND event_type = '' AND event_action = ''
GROUP BY project, span, start, level HAVING count(*) >= {FAN}
ORDER BY project, span, start, level
"""  # noqa: S608 - only our own constants
"""Every part has one row of all events without a dimension; counting these counts the parts."""

ENDED = f"""
SELECT project, span, start, max(level) AS level, array_agg(part) AS parts
FROM rollups WHERE key = '' AND event_type = '' AND event_action = ''
GROUP BY project, span, start
HAVING count(*) > 1 AND start + span < extract(epoch FROM now()) / {HOUR_SECONDS} - 1
ORDER BY project, span, start LIMIT 500
"""  # noqa: S608 - only our own constants
"""Hours and days that ended more than an hour ago and have more than one part."""

PARTS = f"""
SELECT key, event_type, event_action, part, counts, people FROM rollups
WHERE project = $1 AND span = $2 AND start = $3 AND part = ANY($4) AND key <> '{CONTENTS}'
ORDER BY key, event_type, event_action
"""  # noqa: S608 - only our own constants

KEYS = f"""
SELECT part, key, count(*) AS rows,
    array_agg(counts) FILTER (WHERE key = '{CONTENTS}') AS contents
FROM rollups WHERE project = $1 AND span = $2 AND start = $3 AND part = ANY($4)
GROUP BY part, key
"""  # noqa: S608 - only our own constants

WITHOUT_DIMENSION = """
SELECT event_type, event_action, part, counts, people FROM rollups
JOIN unnest($4::varchar[], $5::varchar[], $6::bigint[])
    AS wanted (event_type, event_action, part) USING (event_type, event_action, part)
WHERE project = $1 AND span = $2 AND start = $3 AND key = ''
"""

MERGED_BY_ANOTHER_RELEASE = f"""
SELECT EXISTS (
    SELECT FROM rollups WHERE project = $1 AND (
        span = {HOUR_SPAN} AND start >= $2 AND start < $2 + {DAY_SPAN}
        OR span = {DAY_SPAN} AND start = $2
    ) AND key = '{CONTENTS}' AND part >= 0
)
"""  # noqa: S608 - only our own constants
"""It knows no contents, so it added up the rows that were there with none for those left out."""

NAMES = """
SELECT count(DISTINCT (event_type, event_action)) FROM rollups
WHERE project = $1 AND span = $2 AND start = $3 AND part = ANY($4)
    AND key = '' AND event_type <> '' AND event_action <> ''
"""

REMOVE_PARTS = (
    "DELETE FROM rollups WHERE project = $1 AND span = $2 AND start = $3 AND part = ANY($4)"
)


RowsOfKey = dict[int, Row]
"""The rows of several parts with the same key, by part."""


async def merge_crowded(connection: asyncpg.Connection, touched: Sequence[Bucket]) -> None:
    """Merge until no touched hour or day has FAN parts of one level."""
    while touched:
        crowded = await connection.fetch(CROWDED, *map(list, zip(*touched, strict=True)))
        touched = [await _merge(connection, row) for row in crowded]


async def merge_ended(connection: asyncpg.Connection) -> bool:
    """Merge some of the hours and days that are over into one part each.

    Returns whether there may be more. A day of which another release merged sparse parts becomes a
    stray, to be rebuilt with its dimensions. The caller holds the lock COMPACTION.
    """
    async with connection.transaction():
        rows = await connection.fetch(ENDED)
        for row in rows:
            place = row["project"], row["start"]
            if row["span"] == DAY_SPAN and await connection.fetchval(
                MERGED_BY_ANOTHER_RELEASE, *place
            ):
                await coverage.mark_stray(connection, *place)
            await _merge(connection, row)
    return bool(rows)


async def _merge(connection: asyncpg.Connection, crowded: asyncpg.Record) -> Bucket:
    """Replace several parts of an hour or day by one of the next level, a few rows at a time."""
    bucket = Bucket(crowded["project"], crowded["span"], crowded["start"])
    parts, part, level = crowded["parts"], new_number(), crowded["level"] + 1
    if bucket.span == DAY_SPAN and await connection.fetchval(NAMES, *bucket, parts) > MAX_NAMES:
        await coverage.make_nameless(connection, bucket.project, bucket.start)
    counted = await _counted(connection, bucket, parts)
    adding = _Merger(bucket, frozenset.intersection(*counted.values()))
    rows = connection.cursor(PARTS, *bucket, parts, prefetch=READ_AT_ONCE)
    async for some in _whole_keys(rows):
        by_key = _by_key(bucket, some)
        await _fill_in(connection, bucket, by_key, counted)
        merged = await asyncio.to_thread(adding.merge, by_key)
        await copy(connection, bucket.project, merged, part, level)
    await copy(connection, bucket.project, adding.contents(), part, level)
    await connection.execute(REMOVE_PARTS, *bucket, parts)
    return bucket


async def _counted(
    connection: asyncpg.Connection, bucket: Bucket, parts: Sequence[int]
) -> dict[int, frozenset[str]]:
    """The dimensions that each part counts for each of its names, with a row or without."""
    keys: defaultdict[int, dict[str, asyncpg.Record]] = defaultdict(dict)
    for row in await connection.fetch(KEYS, *bucket, parts):
        keys[row["part"]][row["key"]] = row
    counted = {}
    for part, rows in keys.items():
        named = rows.pop(CONTENTS, None)
        if is_sparse(part) and named:
            counted[part] = frozenset(unpack_contents(*named["contents"]))
        else:
            names = rows.pop(ANY)["rows"]
            counted[part] = frozenset(key for key, row in rows.items() if row["rows"] == names)
    return counted


async def _fill_in(
    connection: asyncpg.Connection,
    bucket: Bucket,
    by_key: Mapping[RollupKey, RowsOfKey],
    counted: Mapping[int, Set[str]],
) -> None:
    """Add the rows that some parts leave out and others have: those without the dimension."""
    left_out = [
        (key, part)
        for key, rows in by_key.items()
        for part, dimensions in counted.items()
        if key.key in dimensions and part not in rows
    ]
    wanted = {(key.event_type, key.event_action, part) for key, part in left_out}
    if not wanted:
        return
    found = await connection.fetch(
        WITHOUT_DIMENSION, *bucket, *map(list, zip(*wanted, strict=True))
    )
    whole = {row[:3]: Row(*row[3:]) for row in map(tuple, found)}
    for key, part in left_out:
        if row := whole.get((key.event_type, key.event_action, part)):
            by_key[key][part] = row


async def _whole_keys(rows: AsyncIterable[asyncpg.Record]) -> AsyncIterator[list[asyncpg.Record]]:
    """Rows in groups of about MERGED_BYTES; rows of one key are neighbours, and stay together."""
    some: list[asyncpg.Record] = []
    size_bytes = 0
    async for row in rows:
        if size_bytes >= MERGED_BYTES and row[:3] != some[-1][:3]:
            yield some
            some, size_bytes = [], 0
        some.append(row)
        size_bytes += len(row["counts"]) + len(row["people"])
    if some:
        yield some


def _by_key(bucket: Bucket, rows: Sequence[asyncpg.Record]) -> dict[RollupKey, RowsOfKey]:
    by_key: defaultdict[RollupKey, RowsOfKey] = defaultdict(dict)
    for *key, part, counts, people in rows:
        by_key[RollupKey(bucket.span, bucket.start, *key)][part] = Row(counts, people)
    return by_key


class _Merger:
    """Adds up rows of parts in the order of their keys: those without a dimension come first."""

    def __init__(self, bucket: Bucket, dimensions: Set[str]) -> None:
        """`dimensions` are those that all parts count, so that rows of them may be left out."""
        self._bucket = bucket
        self._dimensions = dimensions
        self._without: dict[tuple[str, str], bytes] = {}
        """The counts of each name's row without a dimension.

        A row of a dimension has the same if no event has a value of it, and is left out.
        """

    def merge(self, by_key: Mapping[RollupKey, RowsOfKey]) -> dict[RollupKey, Row]:
        """One row for each key that needs one."""
        merged = {}
        for key, rows in by_key.items():
            row = _sum(list(rows.values()))
            name = (key.event_type, key.event_action)
            if key.key == ANY:
                self._without[name] = row.counts
            elif key.key in self._dimensions and row.counts == self._without.get(name):
                continue
            merged[key] = row
        return merged

    def contents(self) -> dict[RollupKey, Row]:
        """The row that says of which dimensions rows were left out; none if of none."""
        key = RollupKey(self._bucket.span, self._bucket.start, CONTENTS, ANY, ANY)
        return {key: pack(contents(self._dimensions))} if self._dimensions else {}


def _sum(rows: Sequence[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    return pack(empty_if_large(add_up(map(unpack, rows))))
