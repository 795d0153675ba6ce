"""Packed days: what is packed and when it is true, and what of a question they answer."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock, patch
from urllib.parse import urlencode

import asyncpg
import msgspec
import pytest

from analytics.derived.deltas import Dimensions
from analytics.derived.packed_day import Day, NamedRecords
from analytics.derived.packed_day import pack as pack_day
from analytics.errors import Unavailable
from analytics.events import Job
from analytics.queries.database import snapshot as snapshots
from analytics.queries.database.memory import Memory
from analytics.queries.database.snapshot import Snapshot, open_snapshot
from analytics.queries.language import parameters
from analytics.queries.precomputed import pieces
from analytics.queries.questions.funnel import funnel
from analytics.queries.sequences import packed_days
from analytics.stores.upkeep import coverage, packer, rebuild
from analytics.stores.upkeep.verify import verify
from tests.queries.asker import WATERMARK, StillQueue
from tests.queries.simple import row
from tests.queries.storing import DIMENSIONS, Storer, event

pytestmark = pytest.mark.usefixtures("rather_precomputed")

STEPS = (("step", "e:a"), ("step", "e:b"))
HOUR_OF_LAST = int(datetime(2026, 10, 14, tzinfo=UTC).timestamp()) // 3600
RANGE = (("from", "2026-10-05"), ("to", "2026-10-12"))


@pytest.fixture
async def filled(storer: Storer) -> Storer:
    """Two weeks in which everybody takes both steps, packed."""
    await storer.empty()
    days = [datetime(2026, 10, 1, tzinfo=UTC) + timedelta(days=day) for day in range(14)]
    await storer.write(
        [
            row(f"{day:%Y-%m-%d}T{hour}:30", f"u{day.day}", event=event)
            for day in days
            for hour, event in ((12, "e:a"), (13, "e:b"))
        ]
    )
    await storer.store.compact()
    await storer.tend()
    return storer


@pytest.fixture
def read() -> Iterator[Mock]:
    """Calls for raw rows."""
    statement = packed_days.records
    with patch.object(packed_days, "records", wraps=statement) as records:
        yield records


async def n(storer: Storer, *parameters: tuple[str, str]) -> list[int]:
    return [
        item["n"]
        for item in (await storer.ask("/funnel", *RANGE, *STEPS, *parameters))["data"]["steps"]
    ]


async def packed(storer: Storer) -> dict[str, Day]:
    rows = await storer.connection.fetch(
        "select to_timestamp(start * 3600) as day, data from packed_days"
    )
    return {f"{record['day']:%m-%d}": Day.decode(record["data"]) for record in rows}


async def test_days_that_are_over_are_packed_and_asked_for_without_a_look_at_raw_rows(
    filled: Storer, read: Mock
) -> None:
    assert len(await packed(filled)) == 14
    answer = await filled.ask("/funnel", *RANGE, *STEPS)
    assert [item["n"] for item in answer["data"]["steps"]] == [7, 7]
    assert answer["meta"]["source"] == "rollup"
    assert read.call_count == 0


async def test_a_filter_or_a_field_is_looked_for_in_raw_rows_once(
    filled: Storer, read: Mock
) -> None:
    for _ in range(3):
        assert await n(filled, ("where", "user_id.ne.u7")) == [6, 6]
        assert await n(filled, ("by", "metadata.k")) == [7, 7]
    assert read.call_count == 14
    assert (await filled.ask("/funnel", *RANGE, *STEPS, ("where", "user_id.ne.u7")))["meta"][
        "source"
    ] == "raw"


async def test_types_and_actions_are_fields_that_every_name_has(filled: Storer, read: Mock) -> None:
    answer = (await filled.ask("/funnel", *RANGE, *STEPS, ("by", "event_action")))["data"]
    assert [(group["key"], group["steps"][0]["n"]) for group in answer["groups"]] == [
        ({"event_action": "a"}, 7)
    ]
    assert read.call_count == 0


async def test_a_late_event_counts_before_its_day_is_packed_anew_and_after(
    filled: Storer, read: Mock
) -> None:
    await n(filled)
    await filled.write([row("2026-10-07T03:00", "late", event="e:a")])
    assert await n(filled) == [8, 7]
    await filled.store.compact()
    assert await n(filled) == [8, 7]
    assert (await packed(filled))["10-07"].rows == 2
    await filled.tend()
    assert (await packed(filled))["10-07"].rows == 3
    assert await n(filled) == [8, 7]
    # of that day alone, while it was changing and then once more, to be remembered
    assert read.call_count == 2


async def test_a_deleted_row_is_gone_at_once_and_from_the_packed_day_too(
    filled: Storer,
) -> None:
    await n(filled)
    await filled.connection.execute("delete from raw_events where user_id = 'u7'")
    assert await n(filled) == [6, 6]
    await filled.tend()
    assert "10-07" not in await packed(filled)
    assert await n(filled) == [6, 6]


async def test_a_day_is_not_packed_while_events_of_it_wait_or_in_several_parts(
    filled: Storer,
) -> None:
    await filled.connection.execute("delete from packed_days")
    await filled.write([row("2026-10-07T03:00", "late", event="e:a")])
    async with filled.store._pool.acquire() as connection:
        await packer.pack_days(connection)
    assert "10-07" not in await packed(filled)
    await filled.store.compact()
    async with filled.store._pool.acquire() as connection:
        await packer.pack_days(connection)
    assert sorted(await packed(filled)) == [f"10-{day:02}" for day in range(1, 15) if day != 7]


async def test_a_packed_day_is_not_trusted_once_another_part_is_all_there_is(
    filled: Storer,
) -> None:
    await filled.write([row("2026-10-07T03:00", "late", event="e:a")])
    await filled.store.compact()
    with patch.object(packer, "pack_days"):
        await filled.tend()
    assert (await packed(filled))["10-07"].rows == 2
    assert await n(filled) == [8, 7]


async def test_a_changed_day_is_not_packed_before_it_is_rebuilt(
    filled: Storer,
) -> None:
    await filled.connection.execute(
        "delete from packed_days; delete from raw_events where user_id = 'u7'"
    )
    async with filled.store._pool.acquire() as connection:
        await packer.pack_days(connection)
    assert "10-07" not in await packed(filled)


async def test_changed_days_lose_their_packed_rows_before_they_are_rebuilt(
    filled: Storer,
) -> None:
    await filled.connection.execute("delete from raw_events where user_id in ('u3', 'u7', 'u9')")
    with patch.object(rebuild, "MAX_HEALED_DAYS", 0):
        await filled.tend()
    assert sorted(await packed(filled)) == [
        f"10-{day:02}" for day in range(1, 15) if day not in (3, 7, 9)
    ]


async def test_a_day_that_is_changing_may_be_too_large_too(
    filled: Storer, read: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_days, "MAX_ROWS", 2)
    await filled.write([row("2026-10-07T03:00", "late", event="e:a")])
    assert await n(filled) == [8, 7]
    assert read.call_count == 0


async def test_a_packed_day_of_another_format_is_left_alone(filled: Storer, read: Mock) -> None:
    await filled.connection.execute(
        "update packed_days set data = set_byte(data, 0, 9) where start = $1",
        int(datetime(2026, 10, 7, tzinfo=UTC).timestamp()) // 3600,
    )
    assert await n(filled) == [7, 7]
    assert read.call_count == 1
    assert await verified(filled) == []


async def test_a_day_that_is_not_over_is_not_packed(filled: Storer) -> None:
    now = datetime.now(UTC)
    await filled.write([row(f"{now:%Y-%m-%dT%H:%M}", "now", event="e:a")])
    await filled.store.compact()
    await filled.tend()
    assert f"{now:%m-%d}" not in await packed(filled)


async def test_days_that_go_with_their_rows_are_packed_no_more(filled: Storer) -> None:
    async with filled.store._pool.acquire() as connection:
        await coverage.forget(connection, datetime(2026, 10, 8, 1, tzinfo=UTC))
    assert sorted(await packed(filled)) == [f"10-{day:02}" for day in range(9, 15)]


async def test_the_newest_days_are_packed_first_and_no_longer_than_there_is_time(
    filled: Storer,
) -> None:
    await filled.connection.execute("delete from packed_days")
    async with filled.store._pool.acquire() as connection:
        await packer.pack_days(connection, seconds=-1)
        assert sorted(await packed(filled)) == ["10-14"]
        await packer.pack_days(connection)
    assert len(await packed(filled)) == 14


async def test_a_day_of_too_many_rows_or_names_is_left_to_the_database(
    filled: Storer, read: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packer, "MAX_ROWS", 1)
    monkeypatch.setattr(packed_days, "MAX_ROWS", 1)
    await filled.connection.execute("delete from packed_days")
    await filled.tend()
    assert await packed(filled) == {}
    assert await n(filled) == [7, 7]
    assert read.call_count == 0
    monkeypatch.undo()
    await filled.tend()
    monkeypatch.setattr(packed_days, "MAX_DAY_NAMES", 1)
    assert await n(filled) == [7, 7]
    assert (await filled.ask("/funnel", *RANGE, *STEPS))["meta"]["source"] == "raw"
    assert len(await packed(filled)) == 14


async def test_of_too_many_values_no_more_is_read_than_tells_so(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_days, "MAX_DAY_NAMES", 2)
    await filled.write(
        [row("2026-10-07T03:00", f"new {value}", event="e:a", k=value) for value in "abcd"]
    )
    await filled.store.compact()
    seen: list[Sequence[Any]] = []
    rows = Snapshot.rows

    async def spied(self: Snapshot, statement: Any, **options: Any) -> Sequence[Any]:
        found = await rows(self, statement, **options)
        if "records" in statement.selected_columns:
            seen.append(found)
        return found

    monkeypatch.setattr(Snapshot, "rows", spied)
    pack = Mock(wraps=pack_day)
    monkeypatch.setattr(packed_days, "pack", pack)
    day = (("from", "2026-10-07"), ("to", "2026-10-08"))
    answer = await filled.ask("/funnel", *day, *STEPS, ("by", "metadata.k"))
    assert [item["n"] for item in answer["data"]["steps"]] == [5, 1]
    assert answer["meta"]["source"] == "raw"
    (found,) = seen
    assert len(found) == 3
    assert pack.call_count == 0


async def test_actors_without_a_number_are_left_to_the_database(filled: Storer) -> None:
    await filled.connection.execute(
        "insert into raw_events (session_id, event_type, event_action, timestamp)"
        " values ('new', 'e', 'a', '2026-10-07T04:00Z')"
    )
    assert await n(filled) == [8, 7]


async def test_a_question_that_has_no_time_left_ends_between_two_pieces(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await n(filled)
    looks = []

    def check_time(_: Snapshot) -> None:
        looks.append(threading.current_thread().name)
        if looks[-1].startswith("columns"):
            raise Unavailable("late", code="too_slow")

    monkeypatch.setattr(Snapshot, "check_time", check_time)
    with pytest.raises(Unavailable) as error:
        await n(filled)
    assert error.value.code == "too_slow"


async def test_both_statements_make_the_same_of_a_day(filled: Storer) -> None:
    """That of the processor, which packs, and that of a question without a filter."""
    before = (await packed(filled))["10-07"]
    await filled.connection.execute("delete from packed_days")
    async with open_snapshot(filled.engine, StillQueue(), None, "default") as read:  # type: ignore[arg-type]
        asked = parameters.read(
            funnel.Funnel,
            urlencode([*RANGE, *STEPS]).encode(),
            {},
            now=WATERMARK,
            project="default",
        )
        read.memory = Memory()
        columns = await packed_days.load(asked, read)
    assert columns is not None
    assert [at.day.encode() for at in columns.days if at.day.start == before.start] == [
        before.encode()
    ]


@pytest.mark.parametrize(("gap", "sessions"), [(0, 1), (1, 2)])
async def test_a_derived_session_goes_on_over_midnight_until_a_gap_is_too_long(
    storer: Storer, gap: int, sessions: int
) -> None:
    await storer.empty()
    midnight = datetime(2026, 10, 7, tzinfo=UTC)
    instants = [
        midnight - timedelta(minutes=40),
        midnight - timedelta(minutes=15),
        midnight + timedelta(minutes=15, microseconds=gap),
    ]
    await storer.write(
        [
            row(instant.isoformat(), "u", "$none", event)
            for instant, event in zip(instants, ("e:a", "e:b", "e:a"), strict=True)
        ]
    )
    await storer.write([row(f"2026-10-06T23:5{minute}", "u", "named", "e:b") for minute in (0, 1)])
    await storer.store.compact()
    await storer.tend()
    data = (await storer.ask("/sessions", *RANGE))["data"]
    assert (data["sessions"], data["users"]) == (sessions + 1, 1)
    # whole, or in two buckets
    assert (
        sum(
            (await storer.ask("/trends", *RANGE, ("measure", "sessions")))["data"]["series"][0][
                "values"
            ]
        )
        == 3
    )
    assert await n(storer, ("unit", "session"), ("step", "e:a")) == [sessions, 1, 2 - sessions]


async def verified(storer: Storer) -> list[str]:
    """What is wrong, by day."""
    async with storer.store._pool.acquire() as connection:
        reports = verify(
            connection,
            "default",
            datetime(2026, 10, 1, tzinfo=UTC),
            datetime(2026, 10, 15, tzinfo=UTC),
            Dimensions(DIMENSIONS),
        )
        return [
            f"{report.day:%m-%d} {wrong.stored} {wrong.counted}"
            async for report in reports
            for wrong in report.differences
        ]


async def test_what_is_packed_is_verified(filled: Storer) -> None:
    assert await verified(filled) == []
    other = await filled.connection.fetchval("select data from packed_days order by start limit 1")
    await filled.connection.execute(
        "update packed_days set data = $1 where start = $2",
        other,
        int(datetime(2026, 10, 7, tzinfo=UTC).timestamp()) // 3600,
    )
    assert await verified(filled) == ["10-07 2 packed rows 2, not the same"]
    await filled.connection.execute("update packed_days set part = part + 1 where start % 7 >= 0")
    assert await verified(filled) == []  # not used, so not verified


async def test_an_answer_for_which_packed_days_would_not_do_says_raw(filled: Storer) -> None:
    overlapping = (("step", "e:a"), ("step", "e"), ("order", "any"))
    assert (await filled.ask("/funnel", *RANGE, *overlapping))["meta"]["source"] == "raw"


async def test_an_answer_of_more_days_than_can_be_held_says_raw(
    filled: Storer, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = max(day.size_bytes for day in (await packed(filled)).values())
    memory = snapshots._memories.setdefault(filled.engine, Memory())
    monkeypatch.setattr(memory, "limit_bytes", 2 * size)
    for path, parameters_ in (("/funnel", STEPS), ("/paths", ()), ("/sessions", ())):
        assert (await filled.ask(path, *RANGE, *parameters_))["meta"]["source"] == "raw", path


async def test_of_all_time_only_days_that_may_be_unknown_are_looked_at(filled: Storer) -> None:
    with patch.object(
        pieces.Coverage,
        "has",
        autospec=True,
        side_effect=lambda self, hour: hour >= self.since_hour,
    ) as has:
        answer = await filled.ask("/funnel", ("from", "0001-01-01"), ("to", "9999-12-31"), *STEPS)
    assert [item["n"] for item in answer["data"]["steps"]] == [14, 14]
    assert has.call_count < 100


async def test_the_newest_days_of_all_projects_are_packed_first(filled: Storer) -> None:
    old = msgspec.structs.replace(event(row("2020-01-01T12:00", "u", event="e:a")), project="z")
    await filled.store.write([Job("z.1", [old])])
    await filled.store.compact()
    await filled.tend()
    await filled.connection.execute("delete from packed_days")
    async with filled.store._pool.acquire() as connection:
        await packer.pack_days(connection, seconds=-1)
    assert [
        record["project"]
        for record in await filled.connection.fetch("select project from packed_days")
    ] == ["default"]


async def test_a_day_that_takes_too_long_to_pack_does_not_keep_others_from_it(
    filled: Storer,
) -> None:
    await filled.connection.execute("delete from packed_days")
    groups = packer.read_groups

    async def slow(
        connection: asyncpg.Connection, project: str, start: int, part: int
    ) -> Sequence[NamedRecords] | None:
        if start == HOUR_OF_LAST:
            await connection.execute("set local statement_timeout = 20; select pg_sleep(60)")
        return await groups(connection, project, start, part)

    with patch.object(packer, "read_groups", slow):
        await filled.tend()
    assert sorted(await packed(filled)) == [f"10-{day:02}" for day in range(1, 14)]


async def test_what_is_gone_while_it_is_packed_is_not_kept(filled: Storer) -> None:
    await filled.connection.execute("delete from packed_days")
    groups = packer.read_groups

    async def late(
        connection: asyncpg.Connection, project: str, start: int, part: int
    ) -> Sequence[NamedRecords] | None:
        records = await groups(connection, project, start, part)
        if start == HOUR_OF_LAST:
            await filled.connection.execute("delete from raw_events where user_id = 'u14'")
            async with filled.store._pool.acquire() as other:
                await rebuild.day(other, project, start, Dimensions(DIMENSIONS))
        return records

    with patch.object(packer, "read_groups", late):
        await filled.tend()
    await filled.tend()
    assert sorted(await packed(filled)) == [f"10-{day:02}" for day in range(1, 14)]
