"""The formats of an export: each is a whole file, also of nothing, and one that goes on."""

import csv
import io
import json

import pyarrow
import pyarrow.parquet
import pytest

from analytics.errors import BadRequest
from tests.queries.asker import Asker
from tests.queries.questions.export.test_export import after, exported, slices
from tests.queries.simple import DAYS, row


async def test_csv_has_a_header_unless_it_goes_on(asker: Asker) -> None:
    await asker.hold(
        [
            row("2026-11-02T10:00", "u", k='a "quoted", long\nvalue'),
            row("2026-11-03T10:00", None, "é,s"),
        ]
    )
    whole = await exported(asker, *DAYS, ("format", "csv"))
    first, second = csv.DictReader(io.StringIO(whole.decode(), newline=""))
    assert [*first] == [
        "id",
        "project",
        "session_id",
        "user_id",
        "event_type",
        "event_action",
        "metadata",
        "timestamp",
        "created_at",
    ]
    assert (json.loads(first["metadata"]), first["user_id"], first["timestamp"]) == (
        {"k": 'a "quoted", long\nvalue'},
        "u",
        "2026-11-02T10:00:00Z",
    )
    assert (second["session_id"], second["user_id"]) == ("é,s", "")
    rest = await exported(asker, *DAYS, ("format", "csv"), after(first))
    assert whole.endswith(rest)
    assert len(list(csv.reader(io.StringIO(rest.decode(), newline="")))) == 1


async def test_parquet_holds_the_same_events(asker: Asker) -> None:
    sent = [
        row("2026-11-02T10:00:00.123456", "u", k="é"),
        row("2026-11-03T10:00"),
        row("2026-11-04T10:00", "v"),
    ]
    await asker.hold(sent)
    with slices(SLICE_ROWS=2):
        table = pyarrow.parquet.read_table(
            io.BytesIO(await exported(asker, *DAYS, ("format", "parquet")))
        )
    assert table.column("id").to_pylist() == [str(row.id) for row in sent]
    assert table.column("timestamp").to_pylist() == [row.timestamp for row in sent]
    assert table.column("user_id").to_pylist() == ["u", None, "v"]
    assert json.loads(table.column("metadata").to_pylist()[0]) == {"k": "é"}


async def test_an_export_of_nothing_is_still_a_file(asker: Asker) -> None:
    await asker.hold([])
    assert await exported(asker, *DAYS) == b""
    assert len((await exported(asker, *DAYS, ("format", "csv"))).splitlines()) == 1
    assert (
        pyarrow.parquet.read_table(
            io.BytesIO(await exported(asker, *DAYS, ("format", "parquet")))
        ).num_rows
        == 0
    )


HOSTILE = ("=HYPERLINK(1)", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "＝1")
HARMLESS = ("-5", "+4.5e3", "1=1", "'=1", "é", " =1")


async def test_formulas_are_kept_or_escaped_as_asked_and_numbers_stay(asker: Asker) -> None:
    names = (*HOSTILE, *HARMLESS)
    await asker.hold([row(f"2026-11-02T10:00:{at:02}", name) for at, name in enumerate(names)])

    async def users(*more: tuple[str, str]) -> list[str]:
        text = (await exported(asker, *DAYS, ("format", "csv"), *more)).decode()
        return [line["user_id"] for line in csv.DictReader(io.StringIO(text, newline=""))]

    assert await users() == await users(("formulas", "keep")) == list(names)
    assert await users(("formulas", "escape")) == [*(f"'{name}" for name in HOSTILE), *HARMLESS]


@pytest.mark.parametrize("format", [(), (("format", "ndjson"),), (("format", "parquet"),)])
async def test_only_csv_has_formulas(asker: Asker, format: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(BadRequest) as caught:
        await exported(asker, *format, ("formulas", "escape"))
    assert (caught.value.code, caught.value.field) == ("conflicting_parameters", "formulas")
    assert await exported(asker, *format, ("formulas", "keep")) is not None
