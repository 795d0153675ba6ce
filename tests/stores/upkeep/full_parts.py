"""Parts as the release before sparse parts wrote and merged them: with a row for each dimension."""

import secrets
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import asyncpg

from analytics.derived import cells
from analytics.derived.cells import ANY, RollupKey, Row, add_up, pack, unpack
from analytics.stores.upkeep import merger, parts

SEVERAL = """
SELECT project, span, start, max(level) AS level, array_agg(part) AS parts FROM rollups
WHERE key = '' AND event_type = '' AND event_action = ''
GROUP BY project, span, start HAVING count(*) > 1
"""
ROWS = """
SELECT span, start, key, event_type, event_action, counts, people FROM rollups
WHERE project = $1 AND span = $2 AND start = $3
"""


def full_number() -> int:
    return secrets.randbits(63)


@contextmanager
def written_full() -> Iterator[None]:
    """What is compacted and rebuilt meanwhile is written as the release before did."""
    with (
        patch.object(parts, "leave_out", lambda all_: {k: v for k, v in all_.items() if v}),
        patch.object(parts, "new_number", full_number),
        patch.object(merger, "FAN", 10**6),
    ):
        yield


async def merge_full(connection: asyncpg.Connection) -> None:
    """Merge all parts of each hour and day as the release before did, which knows no contents."""
    async with connection.transaction():
        for several in await connection.fetch(SEVERAL):
            project, span, start = several[:3]
            addends: defaultdict[RollupKey, list[Row]] = defaultdict(list)
            for row in await connection.fetch(ROWS, project, span, start):
                addends[RollupKey(*row[:5])].append(Row(*row[5:]))
            sums = {key: add_up(map(unpack, rows)) for key, rows in addends.items()}
            merged = {
                key: pack(values)
                for key, values in sums.items()
                if len(values) <= cells.MAX_VALUES or key.key == ANY
            }
            await connection.execute(merger.REMOVE_PARTS, project, span, start, several["parts"])
            level = several["level"] + 1
            await parts.copy(connection, project, merged, full_number(), level)
