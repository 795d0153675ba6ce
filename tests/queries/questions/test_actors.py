"""The rows of some actors: the same by either way, and the way that costs less."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from analytics.queries.database.snapshot import open_snapshot
from analytics.queries.questions import actors
from analytics.queries.questions.actors import better_read, is_actor
from analytics.tables import raw_events
from tests.queries.asker import StillQueue
from tests.queries.simple import row
from tests.queries.storing import Storer

FIRST, SECOND = (datetime(2026, 11, day, 12, tzinfo=UTC) for day in (2, 3))


async def test_a_row_is_its_users_and_only_without_one_its_sessions(storer: Storer) -> None:
    await storer.empty()
    rows = [
        row("2026-11-02T01", "ada", "cookie"),
        row("2026-11-02T02", None, "cookie"),
        row("2026-11-02T03", None, "ada"),
        row("2026-11-02T04", "cookie", "s"),
        row("2026-11-02T05", "ben", "s"),
    ]
    await storer.write(rows)
    timestamp = raw_events.c.timestamp
    async with open_snapshot(storer.engine, StillQueue()) as snapshot:  # type: ignore[arg-type]
        for names, hours in ((["cookie"], [2, 4]), (["ada"], [1, 3]), (["ben", "nobody"], [5])):
            for by_reading in (False, True):
                statement = select(timestamp).where(is_actor(names, by_reading=by_reading))
                found = await snapshot.rows(statement.order_by(timestamp))
                assert [each.timestamp.hour for each in found] == hours


@pytest.mark.parametrize(
    ("names", "rows_a_name", "reads"), [(1, 99, False), (2, 16, True), (2, 14, False), (4, 0, True)]
)
async def test_a_range_is_read_where_it_has_few_rows_for_so_many_names(
    storer: Storer, monkeypatch: pytest.MonkeyPatch, names: int, rows_a_name: int, reads: bool
) -> None:
    """Thirty rows on the two days of the range, and more outside."""
    await storer.empty()
    times = ["2026-11-01"] * 50 + ["2026-11-02"] * 10 + ["2026-11-03"] * 20 + ["2026-11-04"] * 50
    await storer.write([row(time) for time in times])
    monkeypatch.setattr(actors, "FEW_NAMES", 1)
    monkeypatch.setattr(actors, "MANY_NAMES", 3)
    monkeypatch.setattr(actors, "ROWS_A_NAME", rows_a_name)
    async with open_snapshot(storer.engine, StillQueue()) as snapshot:  # type: ignore[arg-type]
        wanted = [f"n{at}" for at in range(names)]
        assert await better_read(snapshot, "default", wanted, FIRST, SECOND) is reads
