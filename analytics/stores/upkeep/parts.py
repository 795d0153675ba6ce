"""Parts of `rollups`: the rows of some hours and days that were written together.

A part never changes; `merger.py` replaces several by one.
"""

import secrets
from collections.abc import Mapping
from typing import NamedTuple

import asyncpg

from analytics.derived.cells import Cells, RollupKey, Row, pack
from analytics.derived.sparse import leave_out

COLUMNS = (
    "project",
    "span",
    "start",
    "key",
    "event_type",
    "event_action",
    "part",
    "level",
    "counts",
    "people",
)


class Bucket(NamedTuple):
    """An hour or a day of a project."""

    project: str
    span: int
    start: int


def pack_all(cells: Cells) -> dict[RollupKey, Row]:
    """All cells of some hours and days → the rows of a part."""
    return {key: pack(values) for key, values in leave_out(cells).items()}


async def write(
    connection: asyncpg.Connection, project: str, rows: Mapping[RollupKey, Row], *, level: int
) -> None:
    """Add rows as one part of their hours and days."""
    await copy(connection, project, rows, new_number(), level)


def new_number() -> int:
    """The number of a new part, below 0 as it is sparse.

    It is random, so no other part ever has it, not even after a restore: questions cache what they
    read of a part under its number.
    """
    return -1 - secrets.randbits(63)


async def copy(
    connection: asyncpg.Connection,
    project: str,
    rows: Mapping[RollupKey, Row],
    part: int,
    level: int,
) -> None:
    """Write some of a part's rows."""
    records = [(project, *key, part, level, *row) for key, row in sorted(rows.items())]
    await connection.copy_records_to_table("rollups", columns=COLUMNS, records=records)
