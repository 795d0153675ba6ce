"""Export: every event once, oldest first, in each format; cut anywhere and resumed."""

import gc
import http.client
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.embedded import Valkey
from analytics.queries import QUESTIONS, Sources, StreamedFile, answer
from analytics.queries.questions.export import export
from analytics.roles import api
from analytics.settings import Settings
from tests.queries import oracle
from tests.queries.answers.test_openapi import KEY, serving
from tests.queries.asker import EVERYTHING, WATERMARK, Asker, StillQueue
from tests.queries.oracle import Row, Trend
from tests.queries.questions.test_sessions import filtered
from tests.queries.questions.trends.test_trends import several
from tests.queries.simple import DAYS, row
from tests.queries.streams import written_filters

QUESTION = next(question for question in QUESTIONS if question.path == "/export")


@contextmanager
def slices(**limits: int) -> Iterator[None]:
    """Small ones, so that a few rows take several."""
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in limits.items():
            patch.setattr(export, name, limit)
        yield


async def exported(asker: Asker, *parameters: tuple[str, str]) -> bytes:
    return await asker.body(QUESTION, httpx2.QueryParams(list(parameters)).__str__().encode(), {})


def lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


def ids(body: bytes) -> list[str]:
    return [event["id"] for event in lines(body)]


def after(event: dict[str, Any]) -> tuple[str, str]:
    """The parameter that goes on after an event, made of what the client has."""
    return ("cursor", f"{event['timestamp']},{event['id']}")


@several
@given(
    case=filtered(),
    rows=st.integers(1, 4),
    bytes_=st.sampled_from([1, 40, 10**6]),
    cut=st.floats(0, 1, exclude_max=True),
)
async def test_every_event_is_exported_once_oldest_first_also_when_it_was_cut(
    asker: Asker, case: tuple[Trend, list[Row]], rows: int, bytes_: int, cut: float
) -> None:
    asked, stored = case
    await asker.hold(stored)
    expected = [
        str(id_) for id_ in oracle.events(stored, asked.start, asked.end, asked.pairs, asked.where)
    ][::-1]
    with slices(SLICE_ROWS=rows, SLICE_BYTES=bytes_):
        body = await exported(asker, *written_filters(asked))
        assert ids(body) == expected
        if expected:
            last = int(cut * len(expected))
            assert (
                ids(await exported(asker, *written_filters(asked), after(lines(body)[last])))
                == expected[last + 1 :]
            )


async def test_a_line_is_an_event_as_it_is_listed(asker: Asker) -> None:
    await asker.hold(
        [row("2026-11-02T10:00:00.123456", None, "s", "view:page", page="/é\n", n=1.5)]
    )
    (line,) = lines(await exported(asker, *DAYS))
    assert [line] == (await asker.ask("/events", *DAYS))["data"]["rows"]


async def stream(asker: Asker, query: bytes) -> StreamedFile:
    reply = await answer(QUESTION, query, {}, EVERYTHING, Sources(asker.engine, StillQueue()))  # type: ignore[arg-type]
    assert isinstance(reply, StreamedFile)
    return reply


async def test_no_connection_is_held_while_a_client_reads_and_no_slice_is_long(
    asker: Asker,
) -> None:
    first = datetime.fromisoformat("2026-11-02T10:00:00+00:00")
    await asker.hold(
        [row((first + timedelta(seconds=at)).isoformat(), k=str(at)) for at in range(10)]
    )
    with slices(SLICE_ROWS=3):
        file = await stream(asker, b"from=2026-11-02&to=2026-11-05")
        assert file.watermark == WATERMARK
        lengths = []
        async for chunk in file.chunks:
            lengths.append(len(lines(chunk)))
            assert asker.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert lengths == [0, 3, 3, 3, 1, 0]


@pytest.mark.parametrize("format", ["ndjson", "csv", "parquet"])
async def test_memory_does_not_grow_with_what_is_exported(asker: Asker, format: str) -> None:
    first = datetime.fromisoformat("2026-11-02T10:00:00+00:00")
    await asker.hold(
        [row((first + timedelta(seconds=at)).isoformat(), k=f"{at:1000}") for at in range(3000)]
    )
    peaks, parquet = [], pyarrow.default_memory_pool()
    with slices(SLICE_ROWS=100):
        file = await stream(asker, f"from=2026-11-02&to=2026-11-05&format={format}".encode())
        tracemalloc.start()
        try:
            async for _ in file.chunks:
                peaks.append(tracemalloc.get_traced_memory()[1] + parquet.bytes_allocated())
                gc.collect()  # statements are cycles, which would be counted or not by chance
                tracemalloc.reset_peak()
        finally:
            tracemalloc.stop()
    assert len(peaks) == 32
    early, late = max(peaks[1:10]), max(peaks[20:])
    between = 1000 * 1000
    assert late - early < 0.5 * between, f"{early:,} bytes, {late:,} after {between:,} more"


@pytest.mark.parametrize("format", ["ndjson", "csv", "parquet"])
async def test_memory_does_not_grow_with_how_well_events_compress(
    asker: Asker, format: str
) -> None:
    """10 MB each, which PostgreSQL stores as a hundredth."""
    await asker.hold(row(f"2026-11-02T10:00:{at:02}", k="x" * 10_000_000) for at in range(12))
    parquet = pyarrow.default_memory_pool()
    file = await stream(asker, f"from=2026-11-02&to=2026-11-05&format={format}".encode())
    peaks = []
    tracemalloc.start()
    try:
        async for _ in file.chunks:
            peaks.append(tracemalloc.get_traced_memory()[1] + parquet.bytes_allocated())
            tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()
    assert len(peaks) == 14, "a slice each"
    assert max(peaks) < 120_000_000


async def test_one_event_larger_than_a_slice_is_exported_all_the_same(asker: Asker) -> None:
    sent = [row(f"2026-11-02T10:00:0{at}", k="x" * 1000) for at in range(3)]
    await asker.hold(sent)
    with slices(SLICE_BYTES=100):
        assert ids(await exported(asker, *DAYS)) == [str(row.id) for row in sent]


async def test_what_was_stored_when_it_began_is_in_it_and_what_comes_behind_does_no_harm(
    asker: Asker,
) -> None:
    sent = [row(f"2026-11-02T10:00:0{at}") for at in range(4)]
    await asker.hold(sent)
    with slices(SLICE_ROWS=2):
        file = await stream(asker, b"from=2026-11-02&to=2026-11-05")
        body, chunks = b"", file.chunks
        async for chunk in chunks:
            body += chunk
            if len(lines(body)) == 2:
                await asker.add(
                    [
                        replace(row("2026-11-02T09:00"), metadata={"late": 1}),
                        row("2026-11-02T11:00"),
                    ]
                )
    assert ids(body)[:4] == [str(row.id) for row in sent]
    assert len(ids(body)) == 5


async def test_other_projects_are_not_exported(asker: Asker) -> None:
    await asker.hold([row("2026-11-02")], project="shop")
    assert await exported(asker, *DAYS) == b""
    assert len(lines(await exported(asker, *DAYS, ("project", "shop")))) == 1


@pytest.fixture
async def client(migrated_url: str, redis_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    app = api.ROLE.app(
        Settings(
            environment="test", database_url=migrated_url, redis_url=redis_url, api_keys=("k",)
        )
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as caller,
    ):
        yield caller


async def test_over_http_it_is_a_file_with_a_watermark_and_errors_are_json(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.get("/api/export?format=csv", headers={"X-API-Key": "k"})
    assert (response.status_code, response.headers["content-type"]) == (
        200,
        "text/csv; charset=utf-8",
    )
    assert response.headers["content-disposition"] == 'attachment; filename="events.csv"'
    assert datetime.fromisoformat(response.headers["x-watermark"]).tzinfo is not None
    refused = await client.get("/api/export?format=xml", headers={"X-API-Key": "k"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "format")
    assert (await client.get("/api/export")).status_code == 401


MANY = """
insert into raw_events (session_id, event_type, event_action, metadata, timestamp)
select 's', 'e', 'a', jsonb_build_object('text', repeat(md5(n::text), 60)),
    now() - n * interval '1 second'
from generate_series(1, 40000) n
"""


async def test_a_transfer_that_fails_in_between_is_cut_and_never_looks_whole(
    migrated_url: str, valkey_server: Valkey, tmp_path: Path
) -> None:
    database = await asyncpg.connect(migrated_url)
    await database.execute("create table raw_events_of_any_age partition of raw_events default")
    await database.execute(MANY)
    with serving(migrated_url, valkey_server, tmp_path) as address:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        connection.request("GET", "/api/export?last=7d&format=csv", headers={"X-API-Key": KEY})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.readline().startswith(b"id,project")
        await database.execute("alter table raw_events rename to hidden")
        with pytest.raises(http.client.IncompleteRead) as caught:
            answer.read()
        assert caught.value.partial.count(b"\n") < 40_000
        connection.close()
    await database.close()
