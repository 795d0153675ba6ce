"""CSV files → events."""

import json
from datetime import UTC, datetime
from pathlib import Path

from analytics.events import event_id
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
    assert b"-1.50" in first.metadata
    assert (second.timestamp, second.user_id, second.metadata) == (
        datetime(2024, 5, 5, 10, tzinfo=UTC),
        None,
        b'{"flag":null}',
    )
    assert (end.accepted, end.line) == (2, 6)
    assert watch.said == ["columns ignored: elsewhere; rename them to metadata.NAME to keep them"]


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
        b"s,t,a,",
    ]
    path.write_bytes(
        b"session_id;event_type;event_action;metadata\n".replace(b";", b",") + b"\n".join(rows)
    )
    queue = FakeQueue()
    await run(path, queue)
    assert [queued.session_id for queued in queue.events] == ["s0", "s1", "s2", "s3"]
    assert [(line["line"], line["code"]) for line in rejected(path)] == [
        (3, "not_csv"),
        (5, "not_csv"),
        (7, "wrong_type"),
        (9, "not_csv"),
    ]
