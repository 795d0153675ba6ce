"""Visitors without cookies: one for a day."""

import re
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from analytics import pipeline
from analytics.errors import Unavailable
from analytics.events import NO_ACTOR
from analytics.pipeline import Context
from analytics.pipeline.visitor import visitor
from tests.collecting import GOOD, Client, error_of, running
from tests.visits import ADDRESS, CHROME, IPHONE, browsing, event


def test_a_visitor_without_id_is_one_for_a_day_and_ids_stay() -> None:
    def session(context: Context, given: str = NO_ACTOR) -> str:
        [kept] = pipeline.run([event(session=given)], context).events
        assert kept.id == UUID(int=1)
        return kept.session_id

    today = session(browsing())
    assert today == session(browsing()) == "$" + visitor(b"salt", "default", ADDRESS, CHROME)
    assert re.fullmatch("[$][0-9a-f]{32}", today)
    assert (
        len(
            {
                today,
                session(browsing(salt=b"tomorrow")),
                session(browsing(address="203.0.113.78")),
                session(browsing(user_agent=IPHONE)),
            }
        )
        == 4
    )
    assert session(browsing(address="2001:db8::1")) == session(browsing(address="2001:db8::2"))
    assert session(browsing(), "mine") == "mine"


SPELLINGS = (
    "198.51.100.{}",
    "198.51.100.{}:54321",
    '"198.51.100.{}"',
    "[198.51.100.{}]",
    "::ffff:198.51.100.{}",
    "::FFFF:198.51.100.{}",
    '"[::ffff:198.51.100.{}]:443"',
    "64:ff9b::198.51.100.{}",
    "::ffff:198.51.100.{}%eth0",
    "unknown, 198.51.100.{}, 10.0.0.1",
)

Send = Callable[[Client, str], Awaitable[object]]


async def _plausible(client: Client, address: str) -> object:
    """A server that passes its visitor on."""
    page = {"n": "pageview", "u": "https://shop.example/", "d": "shop.example"}
    return await client.send_events(page, "/api/event", x_forwarded_for=address, user_agent=CHROME)


async def _segment(client: Client, address: str) -> object:
    context = {"ip": address, "userAgent": CHROME}
    return await client.send_events({"type": "page", "context": context}, "/v1/page")


async def _umami(client: Client, address: str) -> object:
    payload = {"website": "w", "url": "/", "ip": address, "userAgent": CHROME}
    return await client.send_events({"type": "event", "payload": payload}, "/api/send")


async def _matomo(client: Client, address: str) -> object:
    return await client.get(
        "/matomo.php", params={"idsite": 1, "rec": 1, "cip": address, "ua": CHROME}
    )


async def _amplitude(client: Client, address: str) -> object:
    event = {"event_type": "e", "ip": address, "user_agent": CHROME}
    return await client.send_events({"api_key": "k", "events": [event]}, "/2/httpapi")


async def _mixpanel(client: Client, address: str) -> object:
    properties = {"token": "t", "ip": address, "$user_agent": CHROME}
    return await client.send_events([{"event": "e", "properties": properties}], "/track")


async def _posthog(client: Client, address: str) -> object:
    properties = {"$ip": address, "$raw_user_agent": CHROME}
    return await client.send_events({"api_key": "k", "event": "e", "properties": properties}, "/e")


async def _snowplow(client: Client, address: str) -> object:
    event = {"e": "pv", "aid": "a", "ip": address, "ua": CHROME}
    return await client.send_events({"data": [event]}, "/com.snowplowanalytics.snowplow/tp2")


async def _ga4(client: Client, address: str) -> object:
    body = {"ip_override": address, "user_agent": CHROME, "events": [{"name": "e"}]}
    return await client.send_events(body, "/mp/collect")


async def _native(client: Client, address: str) -> object:
    fields = {"session_id": NO_ACTOR, "metadata": {"$ip": address, "$user_agent": CHROME}}
    return await client.send_events(GOOD | fields)


SENDERS: tuple[Send, ...] = (
    _plausible,
    _segment,
    _umami,
    _matomo,
    _amplitude,
    _mixpanel,
    _posthog,
    _snowplow,
    _ga4,
    _native,
)


@pytest.mark.parametrize("send", SENDERS)
async def test_there_are_as_many_people_as_addresses_in_every_spelling(send: Send) -> None:
    async with running() as client:
        for number in range(20):
            for spelling in SPELLINGS:
                await send(client, spelling.format(number))
        sessions = {event.session_id for event in client.sink.events}
    assert len(client.sink.events) == 20 * len(SPELLINGS)
    assert len(sessions) == 20
    assert NO_ACTOR not in sessions


@pytest.mark.parametrize("send", SENDERS)
async def test_what_is_no_address_tells_nobody_apart(send: Send) -> None:
    async with running() as client:
        for text in ("unknown", "_hidden", "203.0.113"):
            await send(client, text)
        assert [event.session_id for event in client.sink.events] == [NO_ACTOR] * 3


async def test_without_a_salt_nothing_is_accepted() -> None:
    async with running() as client:
        client.salts.refusal = Unavailable("no salt")
        assert error_of(await client.send_events(GOOD)) == (503, "unavailable")
        assert client.sink.events == []
