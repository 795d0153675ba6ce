"""A reader of server-sent events: what it gets, and why a stream does not begin or ends."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from analytics.projects import key_cache
from analytics.redis import key_mirror
from analytics.roles.realtime import admission, server_sent
from tests.live.kit import make_events
from tests.roles.realtime.platform import (
    KEYS,
    Platform,
    set_key,
    stream,
)
from tests.waiting import PATIENCE_SECONDS


async def test_the_same_events_come_as_server_sent_events(platform: Platform) -> None:
    await platform.stored(make_events(5))
    async with stream(
        platform, event="engagement:click", where=["metadata.page.eq./pricing", "user_id.set"]
    ) as events:
        assert 2000 <= int((await events.next())["retry"]) <= 6000
        assert await events.next() == {
            "id": "5",
            "event": "subscribed",
            "data": '{"type":"subscribed"}',
        }
        passing = make_events(1, user_id="u", metadata=b'{"page": "/pricing"}')
        await platform.stored([*make_events(2), *passing])
        event = await events.next()
        assert (event["id"], event["event"]) == ("8", "event")
        assert json.loads(event["data"])["event"]["id"] == str(passing[0].id)


async def test_counters_come_as_server_sent_events(platform: Platform) -> None:
    async with stream(platform, channel="counters") as events:
        await events.next()
        await events.next()
        await platform.stored(make_events(7))
        counted = 0
        while counted < 7:
            event = await events.next()
            assert event["event"] == "counters"
            counted += json.loads(event["data"])["events_per_second"]
        assert counted == 7


async def test_who_comes_back_is_told_how_many_events_came_meanwhile(platform: Platform) -> None:
    await platform.stored(make_events(9))
    async with stream(platform, headers={"Last-Event-ID": "4"}) as events:
        await events.next()
        await events.next()
        assert await events.next() == {
            "id": "9",
            "event": "gap",
            "data": '{"type":"gap","missed":5}',
        }


async def test_a_silent_stream_has_a_heartbeat_that_tells_where_the_project_stands(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_sent, "HEARTBEAT_SECONDS", 0.2)
    async with stream(platform, event="nothing") as events:
        await platform.stored(make_events(3))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await events.next() != {":": "", "id": "3"}:
                continue


@pytest.mark.parametrize(
    ("query", "token", "status", "field"),
    [
        ("", "", 401, None),
        ("", "ak_r_nobody", 401, None),
        ("", "ak_w_shop", 403, None),
        ("project=other", "ak_r_shop", 403, "project"),
        ("channel=weather", "ak_r_shop", 400, "channel"),
        ("channel=events&channel=counters", "ak_r_shop", 400, "channel"),
        ("evnt=x", "ak_r_shop", 400, "evnt"),
        ("event=a:b:c", "ak_r_shop", 400, "event"),
        ("event=a&event=b", "ak_r_shop", 400, "event"),
        ("where=x", "ak_r_shop", 400, "where"),
        ("where=metadata.x.re.(", "ak_r_shop", 400, "where"),
        ("where=metadata..set", "ak_r_shop", 400, "where"),
        ("where=metadata.a..b.eq.1", "ak_r_shop", 400, "where"),
        ("channel=counters&event=x", "ak_r_shop", 400, "event"),
        ("project=a%20b", "static-key", 400, "project"),
        ("project=nope", "static-key", 404, "project"),
        ("channel=counters&project=nope", "static-key", 404, "project"),
        ("event=%ff", "ak_r_shop", 400, None),
    ],
)
async def test_a_stream_that_cannot_begin_is_an_error_in_json(
    platform: Platform, query: str, token: str, status: int, field: str | None
) -> None:
    await platform.redis.sadd(key_mirror.PROJECTS, "default", "shop")  # type: ignore[misc]
    async with platform.http() as client:
        answer = await client.get(
            f"/realtime/events?{query}", headers={"X-API-Key": token} if token else {}
        )
        assert answer.status_code == status
        assert answer.json()["error"].get("field") == field


async def test_a_revoked_key_ends_its_stream(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(key_cache, "FRESH_SECONDS", 0.1)
    async with stream(platform) as events:
        await events.next()
        await set_key(
            platform.redis,
            "ak_r_shop",
            **KEYS["ak_r_shop"] | {"expires_at": datetime.now(UTC) - timedelta(seconds=1)},
        )
        last = await events.rest()
        assert json.loads(last[-1]["data"])["code"] == "unauthorized"
