"""Counts raw rows of unchanged days into cells, so that the counts can be cached.

For filters and fields that rollups do not have. A day's raw rows are identified by the parts of its
rollups: whoever adds a row leaves a delta, which becomes a new part, and any other change marks the
day as a stray. A day is unchanged while no delta waits for it and it is no stray. So raw rows of a
day are read once per question, and again only after a change.
"""

from collections.abc import Iterable, Iterator, Sequence
from sys import getsizeof
from typing import Any

from msgspec.structs import replace
from pyroaring import BitMap
from sqlalchemy import ColumnElement, LargeBinary, and_, func, literal, literal_column, null, select
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.derived.cells import ANY, MAX_VALUES
from analytics.derived.deltas import Delta
from analytics.derived.instants import DAY_SPAN, instant
from analytics.queries.database.memory import OVERHEAD_BYTES, MemoryEntry, Name
from analytics.queries.database.sums import Sum, numbers
from analytics.queries.database.texts import bounded
from analytics.queries.language.fields import By
from analytics.queries.language.measures import Statement
from analytics.queries.language.membership import ACTOR
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed import summaries
from analytics.queries.precomputed.pieces import Block, Coverage
from analytics.queries.precomputed.statements import MAX_GROUPS, some_missing
from analytics.queries.precomputed.summaries import NumberSpec, Summary
from analytics.tables import Instant, people, raw_events

MAX_HOURS = 7 * DAY_SPAN
"""Hours in one statement, so that none takes too long and each one's result can be cached."""


def without_pending(coverage: Coverage, deltas: Iterable[Delta]) -> Coverage:
    """Coverage less the days that deltas add to: their new rows show in no part yet."""
    pending = {group.hour - group.hour % DAY_SPAN for delta in deltas for group in delta.groups}
    return replace(coverage, strays=coverage.strays | pending)


def runs(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks in order, in runs without gaps, each of at most MAX_HOURS (or one block)."""
    run: list[Block] = []
    for block in sorted(blocks, key=lambda block: block.starts.start):
        if run:
            gap = run[-1].end_hour != block.starts.start
            if gap or block.end_hour - run[0].starts.start > MAX_HOURS:
                yield run
                run = []
        run.append(block)
    if run:
        yield run


def counts(
    query: FilteredQuery, blocks: Sequence[Block], by: By | None, with_people: bool
) -> Statement:
    """`block` (from 1), `key`, `count` and people of a run's raw rows.

    `numbers` are those of its people, four bytes each; `unnumbered` says whether any actor has no
    number yet. Without people they are null and false. At most MAX_GROUPS + 1 rows, bounded.
    """
    labels = ["block", "key", *(["actor"] if with_people else [])]
    columns: list[ColumnElement[Any]] = [
        *([ACTOR.label("actor")] if with_people else []),
        func.count().label("n"),
    ]
    grouped = _rows(query, blocks, by, *columns).group_by(*map(literal_column, labels))
    rows = grouped.subquery("rows")
    if not with_people:
        counted = select(
            rows.c.block,
            rows.c.key,
            rows.c.n.label("count"),
            null().label("numbers"),
            literal_column("false").label("unnumbered"),
        ).limit(MAX_GROUPS + 1)
        return bounded(counted, [by], "key")
    known = rows.outerjoin(
        people, and_(people.c.project == query.project, people.c.actor == rows.c.actor)
    )
    packed = func.string_agg(func.int4send(people.c.number), literal(b"", LargeBinary))
    columns = [
        func.sum(rows.c.n).label("count"),
        packed.label("numbers"),
        func.bool_or(people.c.number.is_(None)).label("unnumbered"),
    ]
    counted = (
        select(rows.c.block, rows.c.key, *columns)
        .select_from(known)
        .group_by(rows.c.block, rows.c.key)
        .limit(MAX_GROUPS + 1)
    )
    return bounded(counted, [by], "key")


def number_summaries(
    query: FilteredQuery, blocks: Sequence[Block], by: By | None, numbers: NumberSpec
) -> Statement:
    """`block` (from 1), `key` and a summary of numbers, of a run's raw rows.

    At most MAX_GROUPS + 1 rows, bounded.
    """
    rows = _rows(query, blocks, by, numbers.field.number.label("number")).subquery("rows")
    summarized = summaries.summarized(rows, "block", numbers).limit(MAX_GROUPS + 1)
    return bounded(summarized, [by], "key")


def _rows(
    query: FilteredQuery, blocks: Sequence[Block], by: By | None, *columns: ColumnElement[Any]
) -> Statement:
    """The raw rows of a run that pass the filters: `block` (from 1), `key` and some columns."""
    edges = [instant(hour) for hour in (blocks[0].starts.start, *(b.end_hour for b in blocks))]
    timestamp = raw_events.c.timestamp
    key: ColumnElement[Any] = (by.value if by else null()).label("key")
    block = func.width_bucket(timestamp, literal(edges, ARRAY(Instant))).label("block")
    return select(block, key, *columns).where(
        *query.filters, timestamp >= edges[0], timestamp < edges[-1]
    )


def count_cells(
    blocks: Sequence[Block], rows: Sequence[Any], with_people: bool
) -> dict[Block, MemoryEntry]:
    """The cells of each block, from rows of `counts`.

    None in place of cells that must not be used: where a block has more than MAX_VALUES groups, or
    an actor without a number, or where rows are missing. PostgreSQL then answers from raw rows.
    """
    whole = not some_missing(rows)
    cells: list[dict[Name, Sum] | None] = [{} if whole else None for _ in blocks]
    sizes_bytes = [OVERHEAD_BYTES for _ in blocks]
    for row in rows:
        at = row.block - 1
        groups = cells[at]
        if groups is None or row.unnumbered or len(groups) == MAX_VALUES:
            cells[at] = None
            continue
        people_ = BitMap(numbers(row.numbers)) if with_people else ()
        groups[ANY, ANY, row.key] = Sum(int(row.count), people_)
        # Numbers take four bytes each here, and some two in a bitmap.
        sizes_bytes[at] += OVERHEAD_BYTES + getsizeof(row.key) + len(row.numbers or b"") // 2
    return {
        block: MemoryEntry(groups, with_people or groups is None, size_bytes)
        for block, groups, size_bytes in zip(blocks, cells, sizes_bytes, strict=True)
    }


def summary_cells(
    blocks: Sequence[Block], rows: Sequence[Any], numbers: NumberSpec
) -> dict[Block, MemoryEntry]:
    """The cells of each block, from rows of `number_summaries`.

    None in place of cells where a block has more than MAX_VALUES groups or too many numbers, or
    where rows are missing.
    """
    whole = not some_missing(rows)
    cells: list[dict[Name, Summary] | None] = [{} if whole else None for _ in blocks]
    sizes_bytes = [OVERHEAD_BYTES for _ in blocks]
    for block, key, *values in rows:
        at = block - 1
        groups, summary = cells[at], summaries.read(numbers, *values)
        if groups is None or summary is None or len(groups) == MAX_VALUES:
            cells[at] = None
            continue
        groups[ANY, ANY, key] = summary
        sizes_bytes[at] += OVERHEAD_BYTES + getsizeof(key) + summary.size_bytes
    return {
        block: MemoryEntry(groups, True, OVERHEAD_BYTES if groups is None else size_bytes)
        for block, groups, size_bytes in zip(blocks, cells, sizes_bytes, strict=True)
    }
