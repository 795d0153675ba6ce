"""A reader's subscriptions: to which projects, how many, and their end."""

from analytics.redis import key_mirror
from tests.live.kit import make_events
from tests.roles.realtime.platform import Platform, receive, send, subscribed


async def test_a_key_of_the_settings_may_watch_every_project(platform: Platform) -> None:
    async with platform.socket("static-key") as reader:
        await subscribed(reader, "a", project="shop")
        await subscribed(reader, "b", project="other")


async def test_a_project_that_does_not_exist_is_an_error_and_no_silence(platform: Platform) -> None:
    await platform.redis.sadd(key_mirror.PROJECTS, "default", "shop")  # type: ignore[misc]
    async with platform.socket("static-key") as reader:
        for channel in ("events", "counters"):
            request = {"type": "subscribe", "id": "a", "channel": channel, "project": "nope"}
            await send(reader, **request)
            error = await receive(reader)
            assert (error["type"], error["id"], error["code"]) == ("error", "a", "no_project")
            assert "'nope'" in error["message"]
        await subscribed(reader, "a", project="shop")
        await subscribed(reader, "b")


async def test_a_key_of_one_project_needs_no_look_at_the_mirror(platform: Platform) -> None:
    """Its project exists, and it must not learn which others do."""
    await platform.redis.sadd(key_mirror.PROJECTS, "default")  # type: ignore[misc]
    async with platform.socket("ak_r_shop") as reader:
        await subscribed(reader)
        await send(reader, type="subscribe", id="x", channel="events", project="nope")
        assert (await receive(reader))["code"] == "other_project"


async def test_two_tenants_never_see_each_other(platform: Platform) -> None:
    async with platform.socket("ak_r_shop") as shop, platform.socket("ak_r_other") as other:
        await subscribed(shop)
        await subscribed(other)
        for _ in range(20):
            await platform.stored([*make_events(1, "shop"), *make_events(1, "other")])
        assert [(await receive(shop))["event"]["project"] for _ in range(20)] == ["shop"] * 20
        assert [(await receive(other))["event"]["project"] for _ in range(20)] == ["other"] * 20
        await send(shop, type="subscribe", id="x", channel="events", project="other")
        assert (await receive(shop))["code"] == "other_project"


async def test_after_unsubscribing_nothing_more_comes(platform: Platform) -> None:
    async with platform.socket() as reader:
        await subscribed(reader, "a")
        await subscribed(reader, "b")
        await send(reader, type="unsubscribe", id="a")
        await subscribed(reader, "c")  # answered in order, so the unsubscription has been seen
        await platform.stored(make_events(1))
        assert {(await receive(reader))["id"] for _ in range(2)} == {"b", "c"}
        await subscribed(reader, "a")  # the id is free again


async def test_the_filters_of_a_connection_are_bounded_in_bytes_until_they_end(
    platform: Platform,
) -> None:
    def large(number: int) -> list[str]:
        return [f"metadata.x.re.a{{200}}{number}{index}" for index in range(15)]

    async with platform.socket() as reader:
        for number in range(3):
            await subscribed(reader, str(number), where=large(number))
        request = {"type": "subscribe", "id": "more", "channel": "events", "where": large(3)}
        await send(reader, **request)
        error = await receive(reader)
        assert (error["id"], error["code"]) == ("more", "too_costly")
        await send(reader, type="unsubscribe", id="0")
        await subscribed(reader, "more", where=large(3))


async def test_subscriptions_of_a_connection_are_bounded(platform: Platform) -> None:
    async with platform.socket() as reader:
        for number in range(20):
            await subscribed(reader, str(number))
        await send(reader, type="subscribe", id="more", channel="events")
        assert (await receive(reader))["code"] == "too_many_subscriptions"
