"""CSV files → events."""

import io
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics.errors import CommandError
from analytics.events import event_id
from analytics.importing import table
from analytics.importing.mapping import PLAIN, Mapping
from tests.importing.test_importer import FakeQueue, Watch, rejected, run


async def test_csv_columns_are_the_fields_of_an_event(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "\ufeffid,session_id,event_type,event_action,timestamp,metadata,metadata.n,metadata.flag,metadata.text,elsewhere\r\n"
        'a,s1,t,"a, ""b""\r\n\r\nc",2024-05-05T10:00:00Z,"{""k"": [1]}",-1.50,true,007,x\r\n'
        "\r\n"
        ",s2,t,a,1714903200000,,,null,,\r\n",
        newline="",
    )
    queue, watch = FakeQueue(), Watch()
    end = await run(path, queue, watch=watch)
    first, second = queue.events
    assert (first.id, first.event_action) == (event_id("a"), 'a, "b"\r\n\r\nc')
    assert json.loads(first.metadata) == {"k": [1], "n": -1.5, "flag": True, "text": "007"}
    assert b'"n":-1.5,' in first.metadata
    assert (second.timestamp, second.user_id, second.metadata) == (
        datetime(2024, 5, 5, 10, tzinfo=UTC),
        None,
        b'{"flag":null}',
    )
    assert (end.accepted, end.line) == (2, 6)
    assert watch.said == [
        "columns ignored: elsewhere; rename them to metadata.NAME, or use --map, to keep them"
    ]


async def test_a_cell_is_a_number_as_json_writes_it_and_no_cell_costs_its_row(
    tmp_path: Path,
) -> None:
    cells: dict[str, float | str] = {
        "30.0": 30,
        "3e1": 30,
        "12345678901234567890": 12345678901234567890,
        "0.10": 0.1,
    }
    cells |= {text: text for text in ("1e999", "NaN", "007", "12.5 ", "+1")}
    path = tmp_path / "events.csv"
    rows = "".join(f"s,t,a,{cell}\n" for cell in cells)
    path.write_text(f"session_id,event_type,event_action,metadata.n\n{rows}")
    queue = FakeQueue()
    await run(path, queue)
    found = [json.loads(event.metadata)["n"] for event in queue.events]
    assert found == list(cells.values())


async def test_each_bad_csv_row_is_named_and_the_others_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    rows = [
        b"s0,t,a,",
        b"s,t,a,,more",
        b"s1,t,a,",
        b"s\xff,t,a,",
        b"s2,t,a,",
        b's,t,a,"[1]"',
        b"s3,t,a,",
        b's,t,a,"',
        b"last,t,a,",
    ]
    path.write_bytes(
        b"session_id;event_type;event_action;metadata\n".replace(b";", b",") + b"\n".join(rows)
    )
    queue = FakeQueue()
    await run(path, queue)
    assert [queued.session_id for queued in queue.events] == ["s0", "s1", "s2", "s3", "last"]
    assert [(line["line"], line["code"]) for line in rejected(path)] == [
        (3, "not_csv"),
        (5, "not_csv"),
        (7, "wrong_type"),
        (9, "not_csv"),
    ]


HEADER = b"session_id,event_type,event_action,metadata.what\n"


async def test_a_stray_quote_costs_its_own_line_and_no_other(tmp_path: Path) -> None:
    rows = [b's%d,t,a,"x, y"' % n if n % 7 else b"s%d,t,a,z" % n for n in range(1, 3001)]
    rows[29] = b's30,t,a,"27"" monitor'
    path = tmp_path / "events.csv"
    path.write_bytes(HEADER + b"\n".join(rows))
    queue = FakeQueue()
    end = await run(path, queue)
    assert (end.accepted, end.rejected, end.line) == (2999, {"not_csv": 1}, 3001)
    [refused] = rejected(path)
    assert (refused["line"], refused["text"]) == (31, 's30,t,a,"27"" monitor')
    assert refused["message"].startswith("a quoted cell goes on for 1 more line, ")


async def test_a_quote_that_never_closes_costs_its_own_line(tmp_path: Path) -> None:
    rows = [b"s%d,t,a,z" % n for n in range(3000)]
    rows[29] = b's29,t,a,"27 inch'
    path = tmp_path / "events.csv"
    path.write_bytes(HEADER + b"\n".join(rows))
    end = await run(path, FakeQueue())
    assert (end.accepted, end.rejected) == (2999, {"not_csv": 1})
    assert "goes on for 2970 more lines" in rejected(path)[0]["message"]


@pytest.mark.parametrize(("at", "lines"), [(3, 2), (1, 3), (2, 5), (3, 5), (0, 6), (3, 20)])
async def test_a_stray_quote_that_closes_lines_later_costs_its_own_line(
    tmp_path: Path, at: int, lines: int
) -> None:
    rows = [[f"s{n}", "t", "a", "z"] for n in range(40)]
    rows[5][at] = '"27 inch'
    rows[4 + lines][at] += '"'
    path = tmp_path / "events.csv"
    path.write_bytes(HEADER + "\n".join(map(",".join, rows)).encode())
    queue, watch = FakeQueue(), Watch()
    end = await run(path, queue, watch=watch)
    assert (end.accepted, end.rejected, end.line) == (39, {"not_csv": 1}, 41)
    found = [event.session_id.rstrip('"') for event in queue.events]
    assert found == [f"s{n}" for n in range(40) if n != 5]
    [refused] = rejected(path)
    assert (refused["line"], refused["text"]) == (7, ",".join(rows[5]))
    assert f"goes on for {lines - 1} more line" in refused["message"]
    assert "which are read again: each of them looks like a row of its own" in refused["message"]
    assert watch.said == []


async def test_what_a_stray_quote_took_in_is_found_again_with_any_options(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    row = 's1,t,a,"27 inch\ns2,t,a,x\ns3,t,a,24"\n'
    path.write_bytes(HEADER + row.encode() + b"last,t,a,x\n")
    ids = []
    for mapping in (PLAIN, Mapping.of([("metadata.what", "user_id")], [("event_type", "u")])):
        queue = FakeQueue()
        await run(path, queue, mapping=mapping)
        ids.append([event.id for event in queue.events])
    assert ids[0] == ids[1]
    assert len(ids[0]) == 3


async def test_a_row_of_many_lines_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(HEADER + b's1,t,a,"' + b"\n" * 11 + b'"\ns2,t,a,"' + b"\n" * 9 + b'"\n')
    watch = Watch()
    end = await run(path, FakeQueue(), watch=watch)
    assert end.accepted == 2
    assert watch.said == [
        "line 2: a row of 12 lines; if it should be shorter, a quote is missing or one too many"
    ]


@pytest.mark.parametrize("row", ["{deep},", "{deep},1", ",{deep}", '{{"k": 1}},{deep}'])
async def test_what_is_too_deep_costs_its_own_row(tmp_path: Path, row: str) -> None:
    path = tmp_path / "events.csv"
    deep = '{"a":' * 5_000 + "1" + "}" * 5_000
    cells = [
        cell and '"' + cell.replace('"', '""') + '"' for cell in row.format(deep=deep).split(",")
    ]
    bad, good = f"s,t,a,{','.join(cells)}\n", "s,t,a,,1\n"
    path.write_text(f"session_id,event_type,event_action,metadata,metadata.n\n{bad}{good}")
    queue = FakeQueue()
    end = await run(path, queue)
    assert (end.accepted, end.rejected) == (1, {"too_deep": 1})


async def test_however_many_quotes_are_stray_a_line_is_read_a_bounded_number_of_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`x","y` ends a quoted cell and begins the next one: to the end of the file it is one row."""
    monkeypatch.setattr(table, "MANY_LINES", 5_000)
    monkeypatch.setattr(table, "MANY_QUOTES_ROW_LINES", 20)
    read = 0
    step = table._Feed.__next__

    def counted(feed: table._Feed) -> str:
        nonlocal read
        read += 1
        return step(feed)

    monkeypatch.setattr(table._Feed, "__next__", counted)
    path = tmp_path / "events.csv"
    path.write_text("session_id,event_type,event_action\n" + 'x","y\n' * 2_000 + "s,t,a\n")
    end = await run(path, FakeQueue())
    assert (end.accepted, end.rejected) == (1, {"not_csv": 2_000})
    assert read <= 5_000 + 22 * 2_002


async def test_of_many_long_rows_the_first_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(HEADER + (b's1,t,a,"' + b"\n" * 11 + b'"\n') * 30)
    watch = Watch()
    end = await run(path, FakeQueue(), watch=watch)
    assert end.accepted == 30
    assert len(watch.said) == 11
    assert watch.said[-1] == "more such rows are not shown"


@pytest.mark.parametrize(("row", "value"), [("1,2", 2), ("1,", 1), (",2", 2)])
async def test_a_column_that_stands_twice_is_named(tmp_path: Path, row: str, value: int) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"session_id,event_type,event_action,metadata.a,metadata.a\ns,t,a,{row}\n")
    queue, watch = FakeQueue(), Watch()
    await run(path, queue, watch=watch)
    said = "columns that stand twice: metadata.a; of each the last that is not empty counts"
    assert watch.said == [said]
    assert json.loads(queue.events[0].metadata) == {"a": value}


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("TRUE", True),
        ("False", False),
        ("NULL", None),
        ("[1, 2]", [1, 2]),
        ('{"k": 1}', {"k": 1}),
        ("[draft", "[draft"),
        ("-1.5e3", -1500),
        ("007", "007"),
        ("1,5", "1,5"),
    ],
)
async def test_a_value_is_what_its_cell_writes(tmp_path: Path, cell: str, value: object) -> None:
    path = tmp_path / "events.csv"
    quoted = '"' + cell.replace('"', '""') + '"'
    path.write_bytes(HEADER + f"s,t,a,{quoted}\n".encode())
    queue = FakeQueue()
    await run(path, queue)
    assert json.loads(queue.events[0].metadata) == {"what": value}


async def test_a_cell_may_be_nearly_as_long_as_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(HEADER + b"s,t,a," + b"x" * 200_000 + b"\n")
    queue = FakeQueue()
    assert (await run(path, queue)).accepted == 1
    assert json.loads(queue.events[0].metadata) == {"what": "x" * 200_000}


async def test_a_column_that_is_mapped_but_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(b"session_id,event_type,event_action\n")
    with pytest.raises(CommandError, match="has no column visitor, which --map names"):
        await run(path, FakeQueue(), mapping=Mapping.of([("visitor", "user_id")]))


async def test_a_table_without_a_line_says_so(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(b"")
    with pytest.raises(CommandError, match="no header row: its first line is empty"):
        await run(path, FakeQueue())


def test_a_header_of_very_many_columns_is_read_in_the_time_of_its_length() -> None:
    def cpu_seconds(columns: int) -> float:
        named = ",".join(f"metadata.k{number}" for number in range(columns))
        header = io.BytesIO(f"session_id,event_type,event_action,{named}\n".encode())
        began = time.process_time()
        table.CsvTable(header, "wide.csv", PLAIN)
        return time.process_time() - began

    # measured up to five times: a busy machine spoils some measurements, never all alike
    assert any(cpu_seconds(10_000) < 30 * cpu_seconds(1_000) for _ in range(5)), (
        "10 times the length: 100 times as long, were it quadratic"
    )
