"""The collector: every reply in the docs, with a test's sink and with the queue in Valkey."""

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import brotli
import httpx2
import msgspec
import pytest
import zstandard
from redis.asyncio import Redis

from analytics import metrics, pipeline
from analytics.errors import Unavailable
from analytics.events import Event, IdSearch
from analytics.projects import digest
from analytics.protocols import validate
from analytics.queue import Queue
from analytics.redis.key_mirror import KEYS, SYNCED
from analytics.roles.collector import collector
from analytics.roles.collector.inflate import MAX_INFLATED_BYTES
from analytics.roles.collector.limits import Limits
from analytics.roles.collector.work import Work
from analytics.settings import Settings
from tests.collecting import BAD, GOOD, Client, Table, error_of, running


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with running() as started:
        yield started


async def test_an_event_is_accepted_once_it_is_durable(client: Client) -> None:
    answer = await client.send_events(GOOD)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})
    assert [event.session_id for event in client.sink.events] == ["s1"]
    assert client.sink.events[0].project == "default"


async def test_any_content_type_is_read_as_json(client: Client) -> None:
    for content_type in (
        "application/json",
        "application/json; charset=utf-8",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
    ):
        assert (await client.send_events([GOOD, GOOD], content_type=content_type)).json()[
            "accepted"
        ] == 2


async def test_a_batch_with_faults_is_accepted_in_part_and_says_so(client: Client) -> None:
    answer = await client.send_events({"events": [GOOD, BAD, GOOD]})
    assert answer.status_code == 202
    message = "session_id has 65 characters, 64 are allowed"
    assert answer.json() == {
        "accepted": 2,
        "rejected": [{"index": 1, "code": "too_long", "field": "session_id", "message": message}],
        "rejected_total": 1,
    }
    assert answer.headers["x-analytics"] == "1 rejected; the first: too_long session_id"
    assert len(client.sink.events) == 2


async def test_ids_are_those_of_the_accepted_in_order_as_stored(client: Client) -> None:
    named = GOOD | {"id": "0193F0AA-6AD7-7F5C-9C0E-5D7A4C1B2E90"}
    answer = await client.send_events(
        [named, BAD, GOOD, GOOD | {"id": "order-1"}], "/collect?ids=1"
    )
    ids = [UUID(text) for text in answer.json()["ids"]]
    assert ids == [event.id for event in client.sink.events]
    assert answer.json()["ids"][0] == "0193f0aa-6ad7-7f5c-9c0e-5d7a4c1b2e90"
    assert [id.version for id in ids] == [7, 7, 5]
    for path in ("/collect?ids=0", "/collect?ids", "/collect?x=ids", "/collect?ids=%ff"):
        assert "ids" not in (await client.send_events(GOOD, path)).json()


async def test_when_no_event_is_valid_the_answer_is_400_with_the_verdicts(client: Client) -> None:
    answer = await client.send_events([BAD, 5])
    assert error_of(answer) == (400, "no_valid_event")
    assert [
        (rejection["index"], rejection["code"], rejection["field"])
        for rejection in answer.json()["rejected"]
    ] == [
        (0, "too_long", "session_id"),
        (1, "wrong_type", None),
    ]
    assert client.sink.events == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", "empty_batch"),
        (b"", "not_json"),
        (b"a=b", "not_json"),
        (b"\xff", "not_json"),
        (b"5", "wrong_type"),
    ],
)
async def test_what_is_no_batch_is_400(client: Client, body: bytes, code: str) -> None:
    answer = await client.send_events(body)
    assert error_of(answer) == (400, code)
    assert answer.json()["rejected"] == []
    assert answer.headers["x-analytics"] == code


@pytest.mark.parametrize(
    "encode",
    [
        ("gzip", gzip.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
        ("", gzip.compress),
        ("identity", bytes),
    ],
)
async def test_compressed_bodies_are_read(client: Client, encode: tuple[str, Any]) -> None:
    name, compress = encode
    answer = await client.send_events(
        compress(json.dumps([GOOD] * 50).encode()), **({"content_encoding": name} if name else {})
    )
    assert answer.json()["accepted"] == 50


async def test_a_body_may_not_inflate_beyond_ten_mebibytes(client: Client) -> None:
    padded = json.dumps(GOOD).encode().ljust(MAX_INFLATED_BYTES)
    assert (
        await client.send_events(gzip.compress(padded), content_encoding="gzip")
    ).status_code == 202
    assert error_of(
        await client.send_events(gzip.compress(padded + b" "), content_encoding="gzip")
    ) == (413, "too_large")
    assert error_of(
        await client.send_events(gzip.compress(padded)[:-9], content_encoding="gzip")
    ) == (400, "bad_encoding")
    assert error_of(await client.send_events(GOOD, content_encoding="deflate")) == (
        415,
        "unsupported_encoding",
    )


@pytest.mark.parametrize("path", ["/collect", "/v1/batch", "/e/", "/track", "/api/batch"])
async def test_a_request_of_200_000_empty_events_costs_little_and_hears_so_in_few_bytes(
    client: Client, path: str
) -> None:
    many = gzip.compress(b"[" + b"{}," * 199_999 + b"{}]")
    assert len(many) < 1_000
    answer = await client.send_events(many, path, content_encoding="gzip")
    assert (answer.status_code, answer.headers["x-analytics"]) == (413, "too_large")
    assert len(answer.content) < 1_000


async def test_50_000_empty_events_are_judged_in_a_thread_and_a_hundred_of_them_are_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    event = validate.event

    def watched(*arguments: Any) -> Event:
        threads.add(threading.get_ident())
        return event(*arguments)

    monkeypatch.setattr(validate, "event", watched)
    for path in ("/collect", "/v1/batch", "/batch/"):
        body = b'{"batch":[%b{}]}' if path != "/collect" else b'{"events":[%b{}]}'
        answer = await client.send_events(body % (b"{}," * 49_999), path)
        assert answer.status_code == 400
        assert (answer.json()["rejected_total"], len(answer.json()["rejected"])) == (50_000, 100)
        assert len(answer.content) < 20_000
    hidden = base64.b64encode(b"[%b{}]" % (b'{"event":"e"},' * 7_999))  # commas do not show
    assert (await client.send_events(b"data=" + hidden, "/track")).status_code == 200
    assert len(client.sink.events) == 7_999
    assert threads
    assert threading.get_ident() not in threads


async def test_an_event_of_ten_megabytes_costs_none_of_its_neighbours(client: Client) -> None:
    large = GOOD | {"metadata": {"text": "x" * 10_000_000}}
    packed = gzip.compress(json.dumps([GOOD, large, GOOD]).encode())
    assert len(packed) < 12_000
    answer = await client.send_events(packed, content_encoding="gzip")
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    [verdict] = answer.json()["rejected"]
    assert (verdict["index"], verdict["code"], verdict["field"]) == (1, "too_long", "metadata")
    assert verdict["message"] == "metadata has 10000011 bytes, MAX_EVENT_BYTES allows 262144"
    assert max(len(event.metadata) for event in client.sink.events) < 262_144
    async with running(max_event_bytes=1024) as strict:
        small = GOOD | {"metadata": {"text": "x" * 1014}}
        assert (await strict.send_events(small)).status_code == 400


async def test_a_large_batch_does_not_hold_up_the_others(client: Client) -> None:
    large = asyncio.create_task(
        client.send_events(
            gzip.compress(json.dumps([GOOD] * 50_000).encode()), content_encoding="gzip"
        )
    )
    answers = 0
    while not large.done():
        await asyncio.sleep(0.001)
        assert (await client.send_events(GOOD)).status_code == 202
        answers += 1
    assert large.result().json()["accepted"] == 50_000
    assert answers > 2


async def test_the_pixel_takes_an_event_and_answers_with_an_image(client: Client) -> None:
    answer = await client.get(
        "/collect.gif?session_id=s&event_type=t&event_action=a&metadata.page=/p&write_key=ak_w_shop"
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.content.startswith(b"GIF89a")
    assert answer.headers["cache-control"] == "no-store"
    assert [(event.project, event.metadata) for event in client.sink.events] == [
        ("shop", b'{"page":"/p"}')
    ]


async def test_a_pixel_that_fails_says_why(client: Client) -> None:
    assert error_of(await client.get("/collect.gif")) == (400, "no_valid_event")
    assert error_of(
        await client.get("/collect.gif?session_id=s&event_type=t&event_action=a&write_key=no")
    ) == (401, "unauthorized")
    client.sink.refusal = Unavailable("full")
    assert error_of(await client.get("/collect.gif?session_id=s&event_type=t&event_action=a")) == (
        503,
        "unavailable",
    )


async def test_when_the_queue_is_out_of_reach_nothing_is_accepted(client: Client) -> None:
    client.sink.refusal = Unavailable("the queue is full", code="queue_full", retry_after=7)
    answer = await client.send_events([GOOD, BAD])
    assert error_of(answer) == (503, "queue_full")
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-analytics"] == "queue_full"


async def test_events_of_several_projects_go_to_the_queue_in_one_append_or_not_at_all(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended: list[list[str]] = []
    append = client.sink.append

    async def recording(events: Sequence[Event]) -> None:
        appended.append([event.project for event in events])
        await append(events)

    monkeypatch.setattr(client.sink, "append", recording)
    batch = [
        {"type": "event", "payload": {"website": website}}
        for website in ("ak_w_shop", "ak_w_page", None)
    ]
    client.sink.refusal = Unavailable("the queue is full", code="queue_full")
    assert (await client.send_events(batch, "/api/batch")).status_code == 503
    assert client.sink.events == []
    client.sink.refusal = None
    assert (await client.send_events(batch, "/api/batch")).status_code == 200
    assert appended == [["shop", "page", "default"]] * 2


async def test_too_many_requests_are_429_for_their_sender_only() -> None:
    async with running() as limited:
        limited.intake.limits = Limits(2, now=lambda: 0.0)
        sent = [(await limited.send_events(GOOD)).status_code for _ in range(3)]
        assert sent == [202, 202, 429]
        answer = await limited.send_events(GOOD)
        assert error_of(answer) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await limited.send_events(GOOD, x_write_key="ak_w_shop")).status_code == 202
        assert error_of(await limited.send_events(GOOD, x_write_key="guess")) == (
            429,
            "rate_limited",
        )


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("GET", "/collect", (405, "method_not_allowed")),
        ("PUT", "/collect", (405, "method_not_allowed")),
        ("OPTIONS", "/collect", (405, "method_not_allowed")),
        ("POST", "/collect.gif", (405, "method_not_allowed")),
        ("POST", "/collect/", (400, "not_json")),
        ("POST", "/collect/x", (404, "not_found")),
        ("GET", "/", (404, "not_found")),
        ("POST", "/x%22%7D%201%0Ainjected", (404, "not_found")),
    ],
)
async def test_other_methods_and_paths_are_refused_in_json(
    client: Client, method: str, path: str, refusal: tuple[int, str]
) -> None:
    assert error_of(await client.request(method, path)) == refusal


async def test_a_head_of_the_pixel_is_no_event(client: Client) -> None:
    assert (
        await client.head("/collect.gif?session_id=s&event_type=t&event_action=a")
    ).status_code == 405
    assert client.sink.events == []


FIELDS = b'"session_id":"s","event_type":"t","event_action":"a"'
CORPUS = {
    "NUL": b'{%b,"metadata":{"a":"\\u0000"}}' % FIELDS,
    "a lone surrogate": b'{%b,"metadata":{"a":"\\ud800"}}' % FIELDS,
    "NaN": b'{%b,"metadata":{"a":NaN}}' % FIELDS,
    "1e400": b'{%b,"metadata":{"a":1e400}}' % FIELDS,
    "bad UTF-8": b'{"session_id":"\xff","event_type":"t","event_action":"a"}',
    "600 levels": b'{%b,"metadata":{"a":%b}}' % (FIELDS, b"[" * 600 + b"]" * 600),
    "100,000 levels": b'{%b,"metadata":{"a":%b}}' % (FIELDS, b"[" * 100_000 + b"]" * 100_000),
    "100,000 open brackets": b"[" * 100_000,
    "year 1": b'{%b,"timestamp":"0001-01-01T00:00:00+23:59"}' % FIELDS,
    "year 9999": b'{%b,"timestamp":"9999-12-31T23:59:59-23:59"}' % FIELDS,
}


@pytest.mark.parametrize("body", CORPUS.values(), ids=CORPUS.keys())
async def test_no_body_is_a_500(client: Client, body: bytes) -> None:
    answer = await client.send_events(body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"]


async def test_what_the_pipeline_drops_is_no_fault_of_the_sender(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dropped(work: Work, events: list[Event], *_: Any) -> pipeline.Result:
        return pipeline.Result([], {"drop_bots": len(events)})

    monkeypatch.setattr(Work, "run", dropped)
    answer = await client.send_events(GOOD)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 0)
    assert client.sink.events == []


async def test_requests_events_and_verdicts_are_counted(client: Client) -> None:
    def seen(counter: Any, **labels: str) -> float:
        return (
            float(counter.get(labels))
            if labels in [given for given, _ in counter.get_all()]
            else 0.0
        )

    def reading() -> list[float]:
        return [
            seen(metrics.events_received, type="engagement"),
            seen(metrics.events_rejected, code="too_long"),
            seen(metrics.collect_requests, protocol="native", status="202"),
            seen(metrics.collect_requests, protocol="native", status="400"),
        ]

    before = reading()
    await client.send_events([GOOD, GOOD, BAD])
    await client.send_events([BAD])
    assert [after - was for after, was in zip(reading(), before, strict=True)] == [2, 2, 1, 1]
    text = (await client.get("/metrics")).text
    assert "analytics_collect_latency_seconds_bucket" in text
    assert "analytics_queue_depth 2" in text


async def test_health_names_what_the_collector_needs(client: Client) -> None:
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["checks"]) == (200, {"redis": "ok"})


async def test_a_202_means_that_the_event_is_in_the_queue(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    shop = msgspec.msgpack.encode(Table.keys["ak_w_shop"])
    await redis.hset(KEYS, digest("ak_w_shop").hex(), shop)
    await redis.set(SYNCED, "now")
    app = collector.ROLE.app(Settings(redis_url=redis_url))
    recently = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    async with (
        app.router.lifespan_context(app),
        Client(transport=httpx2.ASGITransport(app), base_url="http://collector") as client,
    ):
        answer = await client.send_events(
            [GOOD | {"id": "order-1", "timestamp": recently}, BAD, GOOD],
            "/collect?ids=1",
            x_write_key="ak_w_shop",
        )
        assert answer.json()["accepted"] == 2
        queue = Queue(redis, Settings(redis_url=redis_url))
        assert (await queue.books()).accepted == 2
        [event] = await queue.find(IdSearch("shop", answer.json()["ids"][0]))
        assert (event.project, event.session_id, event.named) == ("shop", "s1", True)
        assert error_of(await client.send_events(GOOD, x_write_key="unknown")) == (
            401,
            "unauthorized",
        )
        assert (await client.get("/health")).status_code == 200
        assert "analytics_queue_depth 2" in (await client.get("/metrics")).text
    await redis.aclose()


async def test_until_keys_can_be_looked_up_the_collector_is_not_healthy(redis_url: str) -> None:
    """For an SDK's event with a key would get a 503."""
    redis = Redis.from_url(redis_url)
    app = collector.ROLE.app(Settings(redis_url=redis_url))
    async with (
        app.router.lifespan_context(app),
        Client(transport=httpx2.ASGITransport(app), base_url="http://collector") as client,
    ):
        health = await client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert "mirror in Redis has not been written yet" in health.json()["checks"]["redis"]
        assert (await client.send_events(GOOD, x_write_key="ak_w_x")).status_code == 503
        await redis.set(SYNCED, "now")
        app.state.keys._outage = None
        assert (await client.get("/health")).json()["checks"] == {"redis": "ok"}
        assert (await client.send_events(GOOD, x_write_key="ak_w_x")).status_code == 401
        await redis.flushall()
        assert (await client.get("/health")).status_code == 200
    await redis.aclose()
