"""Who is admitted as a reader: by origin, by key, while there is room, and until when."""

import json
from contextlib import AsyncExitStack

import pytest
from websockets.exceptions import InvalidStatus

from analytics import metrics
from analytics.projects import key_cache
from analytics.roles.realtime import admission
from tests.roles.realtime.platform import (
    KEYS,
    Platform,
    closed,
    send,
    serving,
    set_key,
    subscribed,
)
from tests.waiting import until


async def test_a_foreign_origin_is_refused_at_the_handshake(redis_url: str) -> None:
    async with serving(redis_url, cors_origins=("https://a.example",)) as platform:
        with pytest.raises(InvalidStatus) as refusal:
            await platform.socket(origin="https://b.example")
        assert refusal.value.response.status_code == 403
        assert json.loads(refusal.value.response.body or b"")["error"]["code"] == "foreign_origin"
        async with platform.socket(origin="https://a.example") as reader:
            await subscribed(reader)
        async with platform.socket() as reader:  # no browser: no origin
            await subscribed(reader)
        async with platform.http() as client:
            answer = await client.get(
                "/realtime/events",
                headers={"X-API-Key": "ak_r_shop", "Origin": "https://b.example"},
            )
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")


async def test_a_key_made_for_one_origin_is_refused_from_another(platform: Platform) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await platform.socket("ak_r_page", origin="https://b.example")
    assert refusal.value.response.status_code == 403
    async with platform.socket(None, origin="https://b.example") as reader:
        await send(reader, type="auth", key="ak_r_page")
        assert await closed(reader) == 4401
    async with platform.socket("ak_r_page", origin="https://a.example") as reader:
        await subscribed(reader)


async def test_beyond_the_cap_connections_are_refused_with_a_time_to_come_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MAX_CONNECTIONS", 2)
    async with platform.socket(), platform.socket():
        with pytest.raises(InvalidStatus) as refusal:
            await platform.socket()
        assert refusal.value.response.status_code == 503
        assert int(refusal.value.response.headers["Retry-After"]) >= 1
    await until(lambda: not metrics.realtime_connections.get({"transport": "websocket"}))
    async with platform.socket() as reader:
        await subscribed(reader)


async def test_who_has_no_key_takes_no_place_and_waits_the_shorter_the_more_there_are(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty without a key, of which three may wait: whoever sends a key is let in at once."""
    monkeypatch.setattr(admission, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(admission, "MAX_UNKNOWN", 3)
    monkeypatch.setattr(admission, "AUTH_SECONDS", 600.0)
    async with AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(platform.socket(None)) for _ in range(50)]
        async with platform.socket() as known, platform.socket(None) as late:
            await send(late, type="auth", key="ak_r_shop")
            await subscribed(known)
            await subscribed(late)
            for each in silent[:46]:
                assert await closed(each) == 4401


async def test_a_key_has_its_share_of_the_places(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admission.MAX_CONNECTIONS_A_KEY < admission.MAX_CONNECTIONS
    monkeypatch.setattr(admission, "MAX_CONNECTIONS_A_KEY", 2)
    async with platform.socket(), platform.socket(None) as second:
        await send(second, type="auth", key="ak_r_shop")
        await subscribed(second)
        with pytest.raises(InvalidStatus) as refusal:
            await platform.socket()
        assert refusal.value.response.status_code == 503
        async with platform.http() as client:
            answer = await client.get("/realtime/events", headers={"X-API-Key": "ak_r_shop"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "too_many_connections")
        async with platform.socket(None) as third:
            await send(third, type="auth", key="ak_r_shop")
            assert await closed(third) == 1013
        async with platform.socket("ak_r_other") as other:
            await subscribed(other)
    async with platform.socket() as again:
        await subscribed(again)


async def test_a_key_revoked_while_connected_ends_the_connection(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the mirror is written every 30 s
    assert admission.RECHECK_SECONDS + key_cache.FRESH_SECONDS + 30 <= 60
    monkeypatch.setattr(admission, "RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(key_cache, "FRESH_SECONDS", 0.1)
    async with platform.socket() as reader:
        await subscribed(reader)
        await set_key(platform.redis, "ak_r_shop", **KEYS["ak_r_shop"] | {"revoked": True})
        assert await closed(reader) == 4401
