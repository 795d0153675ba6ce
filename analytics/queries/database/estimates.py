"""Whether PostgreSQL knows how large the tables are that raw rows are joined with.

Before it has statistics of a table, or of a new project in it, it takes the project for a handful
of rows. It may then read all of them again for each raw row: seconds where milliseconds would do.
Without nested loops it joins by hashing, which is never far from the best. So a snapshot does
without them until the estimates are about right. The processor sees to it that they soon are.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from analytics.lru import Lru

EXPECTED = "EXPLAIN (FORMAT JSON) SELECT FROM {table} WHERE project = $1"
NO_NESTED_LOOPS = "SET LOCAL enable_nestloop = off"

MANY = 10_000
"""No plan reads so many rows again for each raw row, if PostgreSQL expects them."""

WRONG = 4
"""An estimate is about right if it is at least this part of the truth."""

TRUSTED_SECONDS = 60.0
MAX_PROJECTS = 10_000


class Estimates:
    """Remembers of which projects the estimates were right, and how large the tables were then.

    They are asked for again after TRUSTED_SECONDS, or when a table has doubled.
    """

    def __init__(self) -> None:
        self._trusted: Lru[str, tuple[float, Mapping[str, int]]] = Lru(MAX_PROJECTS)

    async def heed(
        self, connection: AsyncConnection, project: str, rows: Mapping[str, int]
    ) -> None:
        """Forbid nested loops in this transaction if PostgreSQL expects far too few rows.

        `rows` says how many rows of the project each table has, or more.
        """
        until, then = self._trusted.get(project) or (0.0, {})
        if time.monotonic() < until and all(rows[table] <= 2 * then[table] for table in rows):
            return
        for table, truth in rows.items():
            if WRONG * await _expected(connection, table, project) < min(truth, MANY):
                await connection.exec_driver_sql(NO_NESTED_LOOPS)
                return
        self._trusted.put(project, (time.monotonic() + TRUSTED_SECONDS, rows))


async def _expected(connection: AsyncConnection, table: str, project: str) -> int:
    """How many rows of a project PostgreSQL expects in a table."""
    result = await connection.exec_driver_sql(EXPECTED.format(table=table), (project,))
    plan: Any = result.scalar_one()
    (explained,) = json.loads(plan) if isinstance(plan, str) else plan
    rows: int = explained["Plan"]["Plan Rows"]
    return rows
