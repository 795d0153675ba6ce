"""Files → events: what is rejected, interruptions, repetitions, and the pace of the queue."""

import bz2
import gzip
import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.errors import CommandError, Unavailable
from analytics.events import Books, Event, event_id
from analytics.importing import importer
from analytics.importing.importer import Importer
from analytics.importing.input_file import opened
from analytics.importing.mapping import PLAIN, Mapping
from analytics.importing.position import Keeper, Position, keeper_of
from analytics.importing.rejects import Rejects


class FakeQueue:
    """Keeps events; refuses appends, or is interrupted before or after one, as a test asks."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.jobs: list[int] = []
        self.waiting = 0
        self.deepest = 0
        self.refusals = 0
        self.interrupt_before: int | None = None
        self.interrupt_after: int | None = None

    async def append(self, events: Sequence[Event]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("the queue is full", retry_after=0)
        if len(self.jobs) == self.interrupt_before:
            raise KeyboardInterrupt
        self.events += events
        self.jobs.append(len(events))
        self.waiting += len(events)
        self.deepest = max(self.deepest, self.waiting)
        if len(self.jobs) == self.interrupt_after:
            raise KeyboardInterrupt

    async def books(self) -> Books:
        queued, self.waiting = self.waiting, max(0, self.waiting - 400)
        return Books(queued=queued)


class Watch:
    def __init__(self) -> None:
        self.positions: list[Position] = []
        self.said: list[str] = []

    def advance(self, read_bytes: int, position: Position) -> None:
        self.positions.append(position)

    def note(self, text: str) -> None:
        self.said.append(text)

    warn = note


async def run(
    path: Path,
    queue: FakeQueue,
    *,
    kind: str | None = None,
    watch: Watch | None = None,
    retention_days: int = 0,
    max_queued: int = 100_000,
    mapping: Mapping = PLAIN,
) -> Position:
    with (
        opened(str(path)) as file,
        Rejects(path.with_name(path.name + ".rejected.ndjson")) as rejects,
    ):
        keeper = keeper_of(path.parent / "data", file.identity)
        with keeper.alone():
            start = keeper.load() or Position()
            rejects.resume(start.rejects_size)
            importing = Importer(
                queue,
                watch or Watch(),
                keeper,
                rejects,
                project="default",
                retention_days=retention_days,
                max_queued=max_queued,
                mapping=mapping,
            )
            return await importing.run(file, kind, start)


def event(number: int, **extra: Any) -> dict[str, Any]:
    fields = {
        "session_id": f"s{number}",
        "event_type": "commit",
        "event_action": "push",
        "timestamp": "2024-05-05T10:00:00+02:00",
        **extra,
    }
    return {name: value for name, value in fields.items() if value is not None}


def ndjson(*events: Any) -> bytes:
    return b"".join(
        (item if isinstance(item, bytes) else json.dumps(item).encode()) + b"\n" for item in events
    )


def rejected(path: Path) -> list[dict[str, Any]]:
    file = path.with_name(path.name + ".rejected.ndjson")
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
async def test_every_line_is_an_event_however_the_file_is_compressed(
    tmp_path: Path, compress: Any
) -> None:
    path = tmp_path / "events"
    path.write_bytes(
        compress(
            ndjson(
                event(1, id="a", metadata={"repo": "x", "n": 1.50}), b"", event(2, user_id="ada")
            )
        )
    )
    queue = FakeQueue()
    end = await run(path, queue)
    first, second = queue.events
    assert (first.id, first.named, first.metadata) == (
        event_id("a"),
        True,
        b'{"repo": "x", "n": 1.5}',
    )
    assert (second.session_id, second.actor, second.timestamp) == (
        "s2",
        "ada",
        datetime(2024, 5, 5, 8, tzinfo=UTC),
    )
    assert (end.accepted, end.rejected, end.line) == (2, {}, 3)


BAD = [
    ("no_json", b"{nonsense", "not_json", None),
    ("two_events", b'{"session_id":"s"},{"session_id":"t"}', "not_json", None),
    ("a_list", b"[]", "wrong_type", None),
    ("no_utf8", b'{"session_id": "\xff"}', "bad_character", "session_id"),
    ("utf16", '{"session_id": "s"}'.encode("utf-16-le"), "not_json", None),
    (
        "too_large",
        json.dumps(event(1, metadata={"k": "x" * 300_000})).encode(),
        "too_long",
        "metadata",
    ),
    (
        "no_type",
        json.dumps({"session_id": "s", "event_action": "a"}).encode(),
        "missing",
        "event_type",
    ),
    ("a_nul", json.dumps(event(1, metadata={"k": "\0"})).encode(), "bad_character", "metadata.k"),
    ("too_long", b'{"session_id": "' + b"x" * 3_000_000, "too_long", None),
    ("too_deep", b"[" * 100_000, "not_json", None),
    ("half", b'{"metadata": [{}', "not_json", None),
    ("other_half", b"{}]}", "not_json", None),
]


async def test_each_bad_line_is_named_and_the_others_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    lines = [line for _, bad, _, _ in BAD for line in (event(0, id=str(len(bad))), bad)]
    path.write_bytes(ndjson(*lines))
    queue = FakeQueue()
    end = await run(path, queue)
    assert len(queue.events) == len(BAD)
    assert [(line["line"], line["code"], line["field"]) for line in rejected(path)] == [
        (2 * index + 2, code, field) for index, (_, _, code, field) in enumerate(BAD)
    ]
    assert rejected(path)[0]["text"] == "{nonsense"
    assert end.rejected == Counter(code for _, _, code, _ in BAD)


async def test_lines_that_would_only_be_events_together_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    whole = json.dumps(event(1, metadata={"list": [{}, {}]}))
    middle = whole.index("[{}, {}]") + 3
    path.write_bytes(
        ndjson(
            whole[:middle].encode(),
            whole[middle + 1 :].encode(),
            b'{"session_id": 1}, {"session_id": 2}',
        )
    )
    queue = FakeQueue()
    await run(path, queue)
    assert not queue.events
    assert [line["code"] for line in rejected(path)] == ["not_json"] * 3


REFUSED = [
    (
        "no_columns",
        b"session_id,what\n1,2\n",
        "has no column event_type and no column event_action",
    ),
    ("blank", b"\n1,2\n", "its first line is empty"),
    ("binary", b"\xff\xf0\x00\x01\n", "no header row"),
    ("broken_gzip", gzip.compress(b"x" * 100)[:15] + b"x", "damaged"),
]


@pytest.mark.parametrize(
    ("data", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
async def test_a_file_that_cannot_be_read_is_refused_in_one_clear_line(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "events"
    path.write_bytes(data)
    with pytest.raises(CommandError, match=message):
        await run(path, FakeQueue())


async def test_a_damaged_file_without_a_suffix_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.gz"
    path.write_bytes(gzip.compress(ndjson(event(1)))[:8])
    with pytest.raises(CommandError, match=r"events.gz is damaged after line 0 \(compressed file"):
        await run(path, FakeQueue())


async def test_what_comes_before_the_damage_of_a_file_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson.gz"
    dice = random.Random(1)
    path.write_bytes(
        gzip.compress(ndjson(*(event(n, id=str(dice.random())) for n in range(20_000))))[:-5_000]
    )
    queue = FakeQueue()
    with pytest.raises(CommandError, match=r"damaged after line \d+ ") as caught:
        await run(path, queue)
    assert len(queue.events) > 10_000
    assert f"line {len(queue.events)} " in caught.value.message


async def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    path.write_bytes(gzip.compress(b""))
    path.with_suffix("").with_suffix(".ndjson").write_bytes(b"\n \n")
    assert (await run(tmp_path / "events.ndjson", FakeQueue())).line == 0


@pytest.mark.parametrize("when", ["interrupt_before", "interrupt_after", "interrupt_save"])
@pytest.mark.parametrize("suffix", [".ndjson", ".ndjson.gz", ".csv"])
async def test_an_interrupted_import_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, when: str
) -> None:
    monkeypatch.setattr(importer, "BATCH_EVENTS", 10)
    path = tmp_path / f"events{suffix}"
    if suffix == ".csv":
        rows = [
            b'"s\n%d",t,a,%s' % (n, b"oops" * 300_000 if n == 7 else b"" if n % 7 else b"oops")
            for n in range(100)
        ]
        data = b"session_id,event_type,event_action,metadata\n" + b"\n".join(rows)
    else:
        data = ndjson(
            *(
                b"oops" * 300_000 if n == 7 else event(n) if n % 7 else b"oops %d" % n
                for n in range(100)
            )
        )
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    queue = FakeQueue()
    if when == "interrupt_save":
        monkeypatch.setattr(Keeper, "save", interrupt_save(4))
    else:
        setattr(queue, when, 4)
    with pytest.raises(KeyboardInterrupt):
        await run(path, queue)
    queue.interrupt_before = queue.interrupt_after = None
    watch = Watch()
    end = await run(path, queue, watch=watch)
    assert 30 < watch.positions[0].accepted < 60
    # of the row that is too long, both lines are refused
    refused = 16 if suffix == ".csv" else 15
    assert (end.accepted, sum(end.rejected.values())) == (85, refused)
    assert len({queued.id for queued in queue.events}) == 85
    assert len(queue.events) <= 85 + 10
    assert len({line["line"] for line in rejected(path)}) == len(rejected(path)) == refused
    assert not list((tmp_path / "data" / "imports").iterdir())


def interrupt_save(at: int) -> Callable[[Keeper, Position], None]:
    """Keeper.save, interrupted at call number `at`, counted from 1."""
    calls = count(1)
    save = Keeper.save

    def interrupted(self: Keeper, position: Position) -> None:
        if next(calls) == at:
            raise KeyboardInterrupt
        save(self, position)

    return interrupted


async def test_an_event_without_id_is_the_same_event_in_every_later_import(tmp_path: Path) -> None:
    plain, packed, grown, other = (
        tmp_path / name for name in ("a.ndjson", "b.ndjson.gz", "c.ndjson", "d.ndjson")
    )
    data = ndjson(event(1), event(1), event(2))
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    grown.write_bytes(data + ndjson(event(3)))
    other.write_bytes(ndjson(event(0)) + data)
    ids = {}
    for path in (plain, packed, grown, other):
        queue = FakeQueue()
        await run(path, queue)
        assert all(queued.named for queued in queue.events)
        ids[path] = [queued.id for queued in queue.events]
    assert len(set(ids[plain])) == 3
    assert ids[plain] == ids[packed] == ids[grown][:3]
    assert not set(ids[plain]) & set(ids[other])


async def test_events_of_one_instant_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(*(event(number, id=None) for number in range(300))))
    queue = FakeQueue()
    await run(path, queue)
    in_order_of_rows = sorted(queue.events, key=lambda queued: (queued.timestamp, queued.id))
    assert [queued.session_id for queued in in_order_of_rows] == [f"s{n}" for n in range(300)]


async def test_fields_are_mapped_set_and_their_times_read_in_a_zone(tmp_path: Path) -> None:
    mapping = Mapping.of(
        [("visitor", "user_id"), ("visit", "session_id"), ("url", "metadata.page")],
        [("event_type", "page"), ("event_action", "view"), ("metadata.from", "old")],
        ZoneInfo("Europe/Berlin"),
    )
    rows = [
        {"visitor": "ada", "visit": "v1", "url": "/a", "timestamp": "2024-05-05 10:00"},
        {"visitor": None, "visit": "v2", "url": "/b", "timestamp": 1714903200},
    ]
    lines = tmp_path / "events.ndjson"
    lines.write_bytes(ndjson(*rows))
    table = tmp_path / "events.csv"
    table.write_text("visitor,visit,url,timestamp\nada,v1,/a,2024-05-05 10:00\n,v2,/b,1714903200\n")
    for path in (lines, table):
        queue = FakeQueue()
        await run(path, queue, mapping=mapping)
        first, second = queue.events
        assert (first.user_id, first.session_id, first.event_type, first.event_action) == (
            "ada",
            "v1",
            "page",
            "view",
        )
        assert json.loads(first.metadata) == {"page": "/a", "from": "old"}
        assert first.timestamp == datetime(2024, 5, 5, 8, tzinfo=UTC)
        assert (second.user_id, second.timestamp) == (None, datetime(2024, 5, 5, 10, tzinfo=UTC))


@pytest.mark.parametrize("format", ["ndjson", "csv"])
@pytest.mark.parametrize(
    ("time", "refused"),
    [
        ("1793527200 ", None),
        (" 1793527200", None),
        (" 2026-11-01 10:00:00,0 UTC", None),
        ("1793527200000.0", None),
        ("46327.41667", "counts days, as spreadsheets do"),
        ("46327", "counts days, as spreadsheets do"),
        ("1793527200000000", "divide microseconds by 1,000"),
        ("2026-11-01 10:00", "--tz says in which zone it is"),
        ("1/11/2026", "or the seconds or milliseconds since 1970"),
    ],
)
async def test_a_time_is_read_as_files_write_it_or_the_message_says_what_to_write(
    tmp_path: Path, format: str, time: str, refused: str | None
) -> None:
    path = tmp_path / f"events.{format}"
    if format == "ndjson":
        path.write_bytes(ndjson(event(1), event(2, timestamp=time)))
    else:
        header = "session_id,event_type,event_action,timestamp"
        path.write_text(f'{header}\ns1,t,a,2024-05-05T10:00:00Z\ns2,t,a,"{time}"\n')
    queue = FakeQueue()
    await run(path, queue)
    if refused is None:
        assert queue.events[1].timestamp == datetime(2026, 11, 1, 10, tzinfo=UTC)
        return
    [line] = rejected(path)
    assert (line["line"], line["code"]) == (3 if format == "csv" else 2, "bad_timestamp")
    assert refused in line["message"]


@pytest.mark.parametrize("retention_days", [0, 36_500])
async def test_seconds_are_no_milliseconds_however_long_events_are_kept(
    tmp_path: Path, retention_days: int
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(event(1, timestamp=1793527200), event(2, timestamp=1793527200000)))
    queue = FakeQueue()
    await run(path, queue, retention_days=retention_days)
    moments = {one.timestamp for one in queue.events}
    assert moments == {datetime(2026, 11, 1, 10, tzinfo=UTC)}


@pytest.mark.parametrize("having", [None, 0, 35])
async def test_a_mapped_field_that_no_line_has_is_named_across_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, having: int | None
) -> None:
    monkeypatch.setattr(importer, "BATCH_EVENTS", 10)
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(*(event(n, visitor="ada" if n == having else None) for n in range(40))))
    mapping = Mapping.of([("visitor", "user_id"), ("session_id", "session_id")])
    queue, watch = FakeQueue(), Watch()
    queue.interrupt_before = 2
    with pytest.raises(KeyboardInterrupt):
        await run(path, queue, watch=watch, mapping=mapping)
    early = ["no line has visitor, which --map names, so far; Ctrl-C stops the import"]
    assert watch.said == ([] if having == 0 else early)
    queue.interrupt_before, missing = None, []
    with opened(str(path)) as file, Rejects(tmp_path / "rejected") as rejects:
        keeper = keeper_of(tmp_path / "data", file.identity)
        start = keeper.load()
        assert start is not None
        importing = Importer(
            queue,
            Watch(),
            keeper,
            rejects,
            project="default",
            retention_days=0,
            max_queued=100,
            mapping=mapping,
        )
        end = await importing.run(file, None, start)
        missing = importing.missing
    assert (start.line, end.accepted) == (20, 40)
    assert missing == (["visitor"] if having is None else [])


async def test_an_import_waits_for_the_queue_and_never_fills_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "ROOM_SECONDS", 0.0)
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(*(event(n) for n in range(6_000))))
    queue, watch = FakeQueue(), Watch()
    queue.refusals = 3
    end = await run(path, queue, watch=watch, max_queued=2_000)
    assert end.accepted == len(queue.events) == 6_000
    assert queue.deepest <= 1_000
    assert watch.said == ["waiting: the queue is full"] * 3


async def test_a_batch_is_bounded_by_what_its_lines_become(tmp_path: Path) -> None:
    name = "metadata." + "n" * 500
    header = ",".join(["session_id,event_type,event_action", *(name + str(n) for n in range(100))])
    path = tmp_path / "wide.csv"
    path.write_text("\n".join([header, *["s,page,view" + ",1" * 100] * 500]))
    queue = FakeQueue()
    assert (await run(path, queue)).accepted == 500
    assert max(queue.jobs) * 100 * 500 < 2 * importer.BATCH_BYTES
    assert len(queue.jobs) > 5


async def test_two_imports_of_one_file_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson(event(1)))
    with (
        opened(str(path)) as file,
        keeper_of(tmp_path / "data", file.identity).alone(),
        pytest.raises(CommandError, match="another process"),
    ):
        await run(path, FakeQueue())


async def test_memory_stays_flat_for_any_line_and_any_file(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(80):
            file.write(b"x" * 1_000_000)
        for n in range(80):
            file.write(b"\n" + ndjson(event(n, metadata={"long": "y" * 250_000})))
    tracemalloc.start()
    try:
        end = await run(path, FakeLightQueue())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (end.accepted, end.rejected) == (80, {"too_long": 1})
    assert peak < 60_000_000


class FakeLightQueue(FakeQueue):
    """Keeps nothing."""

    async def append(self, events: Sequence[Event]) -> None:
        pass
