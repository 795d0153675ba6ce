"""The pipeline: each step by named cases, their order, drops, and what is never stored."""

import json
import re
from typing import Any
from uuid import UUID

import msgspec
import pytest

from analytics import metrics, pipeline
from analytics.errors import Unavailable
from analytics.events import NO_ACTOR
from analytics.pipeline import DROP, Context, Drop, Rules, Visit, context_of
from analytics.pipeline.address import truncated
from analytics.pipeline.referrer import source
from analytics.pipeline.visitor import visitor
from analytics.settings import load
from tests.collecting import GOOD, error_of, running
from tests.visits import ADDRESS, CHROME, GOOGLEBOT, IPHONE, NOW, SERVER, browsing, event


def facts(metadata: dict[str, Any] | bytes, context: Context) -> dict[str, Any]:
    [passed] = pipeline.run([event(metadata)], context).events
    known: dict[str, Any] = json.loads(passed.metadata)
    return known


CASES: dict[str, tuple[dict[str, Any], Context, dict[str, Any]]] = {
    "the browser's agent": (
        {},
        browsing(),
        {"$browser": "Chrome", "$browser_version": "131", "$os": "Linux", "$device": "desktop"},
    ),
    "the agent that an SDK tells": (
        {"$user_agent": IPHONE},
        SERVER,
        {"$browser": "Mobile Safari", "$os": "iOS", "$device": "mobile"},
    ),
    "what the sender said stays": (
        {"$browser": "Mine"},
        browsing(),
        {"$browser": "Mine", "$os": "Linux"},
    ),
    "a headless browser is no robot": (
        {"$user_agent": CHROME.replace("Chrome", "HeadlessChrome")},
        SERVER,
        {"$browser": "HeadlessChrome"},
    ),
    "the page": (
        {"$url": "https://a.example/p/q?x=1"},
        SERVER,
        {"$host": "a.example", "$path": "/p/q"},
    ),
    "a page that is none": ({"$url": "https://[bad"}, SERVER, {"$host": None, "$path": None}),
    "the campaign": (
        {"$url": "https://a.example/?utm_source=n%20l&gclid=G1&x=2"},
        SERVER,
        {"$utm_source": "n l", "$gclid": "G1", "$x": None},
    ),
    "a NUL in a campaign": (
        {"$url": "https://a.example/?utm_term=a%00b"},
        SERVER,
        {"$utm_term": "ab"},
    ),
    "the referrer": (
        {"$referrer": "https://www.google.co.uk/search"},
        SERVER,
        {"$referrer_domain": "google.co.uk", "$referrer_source": "Google"},
    ),
    "a referrer nobody knows": (
        {"$referrer": "https://blog.example/x"},
        SERVER,
        {"$referrer_source": "blog.example"},
    ),
    "its own referrer": (
        {"$url": "https://a.example/", "$referrer": "https://www.a.example/b"},
        SERVER,
        {"$referrer_domain": None},
    ),
    "the language": ({}, browsing(accept_language="de-AT,de;q=0.9"), {"$language": "de-AT"}),
    "the screen": ({"$screen_width": 1280, "$screen_height": 720}, SERVER, {"$screen": "1280x720"}),
    "a country header nobody named": ({}, browsing(cf_ipcountry="AT"), {"$country": None}),
    "a country header": (
        {},
        browsing(Rules(country_header=b"cf-ipcountry"), cf_ipcountry="at"),
        {"$country": "AT"},
    ),
    "Tor is no country": (
        {},
        browsing(Rules(country_header=b"cf-ipcountry"), cf_ipcountry="T1"),
        {"$country": None},
    ),
    "a country by address": ({}, browsing(Rules(country={ADDRESS: "NZ"}.get)), {"$country": "NZ"}),
    "a country by an SDK's address": (
        {"$ip": "192.0.2.9"},
        SERVER,
        {"$country": None, "$ip": None},
    ),
    "no address": ({"$ip": ADDRESS}, browsing(), {"$ip": None}),
    "an address written otherwise": (
        {"$properties": {"$ip": ADDRESS, "a": 1}},
        SERVER,
        {"$properties": {"a": 1}},
    ),
    "an address in what a library says": (
        {"$context": {"device": [{"ip": ADDRESS, "id": 7}]}, "$set": {"$ip": ADDRESS}},
        SERVER,
        {"$context": {"device": [{"id": 7}]}, "$set": None},
    ),
    "an address that its sender named": ({"ip": ADDRESS}, browsing(), {"ip": ADDRESS}),
    "half an address": ({}, browsing(Rules(store_ip="truncated")), {"$ip": "203.0.113.0"}),
    "a whole address": ({}, browsing(Rules(store_ip="full")), {"$ip": ADDRESS}),
    "a robot that is marked": (
        {},
        browsing(Rules(bots="mark"), user_agent=GOOGLEBOT),
        {"$bot": True},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    metadata, context, expected = CASES[name]
    known = facts(metadata, context)
    assert {key: known.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("context", "metadata", "reason"),
    [
        (browsing(user_agent=GOOGLEBOT), {}, "drop_bots"),
        (SERVER, {"$user_agent": GOOGLEBOT}, "drop_bots"),
        (browsing(dnt="1"), {}, "drop_opted_out"),
        (browsing(sec_gpc="1"), {}, "drop_opted_out"),
        (browsing(Rules(signals=("gpc",)), dnt="1"), {}, None),
        (browsing(dnt="0"), {}, None),
        (browsing(Rules(bots="keep"), user_agent=GOOGLEBOT), {}, None),
        (SERVER, {}, None),
    ],
)
def test_a_step_drops(context: Context, metadata: dict[str, Any], reason: str | None) -> None:
    passed = pipeline.run([event(metadata)], context)
    assert passed.dropped == ({reason: 1} if reason else {})
    assert len(passed.events) == (0 if reason else 1)


def test_a_servers_own_agent_and_address_are_nobodys() -> None:
    events = [event({"plan": "pro"}), event()]
    assert pipeline.run(events, SERVER).events is events
    [passed] = pipeline.run([event({"$url": "https://a.example/"}, NO_ACTOR)], SERVER).events
    assert passed.session_id == NO_ACTOR
    assert set(json.loads(passed.metadata)) == {"$url", "$host", "$path"}


def test_a_key_in_escapes_is_seen_all_the_same() -> None:
    assert facts(b'{"\\u0024ip":"203.0.113.77"}', SERVER) == {}


def test_every_digit_of_other_values_is_kept() -> None:
    [passed] = pipeline.run(
        [event(b'{"n":1.2345678901234567890123,"$url":"https://a.example/"}')], SERVER
    ).events
    assert b'"n":1.2345678901234567890123' in passed.metadata


def test_a_servers_plausible_hands_on_its_visitors_headers() -> None:
    headers = {b"user-agent": IPHONE.encode(), b"x-forwarded-for": b"198.51.100.4, 10.0.0.1"}
    context = context_of(headers, ADDRESS, NOW, relayed=True, salt=b"salt", rules=Rules())
    assert (context.agent, context.address) == (IPHONE, "198.51.100.4")
    own = context_of(
        {b"user-agent": b"python-requests/2"},
        ADDRESS,
        NOW,
        relayed=True,
        salt=b"salt",
        rules=Rules(),
    )
    assert own.silent


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


def test_addresses_are_cut() -> None:
    given = {
        "203.0.113.77": "203.0.113.0",
        "2001:db8:1:2::3": "2001:db8:1::",
        "::ffff:203.0.113.77": "203.0.113.0",
        "no": "",
    }
    assert {text: truncated(text) for text in given} == given


def test_sources_have_names_for_their_subdomains_only() -> None:
    assert [
        source(name)
        for name in ("m.facebook.com", "t.co", "notfacebook.com", "google.com.evil.example")
    ] == [
        "Facebook",
        "X",
        "notfacebook.com",
        "google.com.evil.example",
    ]


def put_mark(visit: Visit) -> None:
    visit.replace("m", f"{visit.text('m')}!")


def put_dot(visit: Visit) -> None:
    visit.replace("m", f"{visit.text('m')}.")


def drop_b(visit: Visit) -> Drop | None:
    return DROP if visit.event.event_action == "b" else None


def test_without_steps_the_very_list_goes_on() -> None:
    events = [event(), event()]
    assert pipeline.run(events, browsing(), ()).events is events


def test_steps_run_top_to_bottom_and_drops_are_counted_by_their_step() -> None:
    metrics.events_dropped.set({"reason": "drop_b"}, 0)
    result = pipeline.run(
        [event(action=action) for action in "abcb"], browsing(), (put_mark, drop_b, put_dot)
    )
    assert [(passed.event_action, json.loads(passed.metadata)) for passed in result.events] == [
        ("a", {"m": "!."}),
        ("c", {"m": "!."}),
    ]
    assert (result.dropped, result.note) == ({"drop_b": 2}, "2 dropped: drop_b")
    assert metrics.events_dropped.get({"reason": "drop_b"}) == 2


def test_a_steps_name_says_what_it_does() -> None:
    for step in pipeline.STEPS:
        assert re.fullmatch(r"(drop|put)_[a-z_]+", step.__name__)
        assert step.__doc__


async def test_a_robots_event_is_answered_as_a_success_that_explains_itself() -> None:
    async with running() as client:
        answer = await client.send_events(GOOD, origin="https://shop.example", user_agent=GOOGLEBOT)
        assert (answer.status_code, answer.headers["x-analytics"], client.sink.events) == (
            202,
            "1 dropped: drop_bots",
            [],
        )
        body = {"n": "pageview", "u": "https://shop.example/", "d": "shop.example"}
        answer = await client.send_events(
            body, "/api/event", origin="https://shop.example", user_agent=GOOGLEBOT
        )
        assert (answer.status_code, answer.text, answer.headers["x-plausible-dropped"]) == (
            202,
            "ok",
            "1",
        )


@pytest.mark.parametrize(
    ("honoured", "header", "kept"),
    [
        ("gpc,dnt", "sec_gpc", False),
        ("gpc,dnt", "dnt", False),
        ("gpc", "sec_gpc", False),
        ("gpc", "dnt", True),
        ("dnt", "sec_gpc", True),
        ("dnt", "dnt", False),
        ("none", "sec_gpc", True),
        ("none", "dnt", True),
    ],
)
async def test_a_visitors_wish_is_honoured_as_the_operator_set(
    honoured: str, header: str, kept: bool
) -> None:
    rules = load({"HONOR_SIGNALS": honoured})
    async with running(honor_signals=rules.honor_signals) as client:
        answer = await client.send_events(
            GOOD, origin="https://shop.example", user_agent=CHROME, **{header: "1"}
        )
        assert (answer.status_code, len(client.sink.events)) == (202, 1 if kept else 0)
        assert answer.headers.get("x-analytics") == (None if kept else "1 dropped: drop_opted_out")


@pytest.mark.parametrize(
    ("store_ip", "address", "stored"),
    [
        ("no", ADDRESS, None),
        ("truncated", ADDRESS, "203.0.113.0"),
        ("truncated", "2001:db8:1:2::3", "2001:db8:1::"),
        ("full", ADDRESS, ADDRESS),
        ("full", "2001:db8:1:2::3", "2001:db8:1:2::3"),
    ],
)
async def test_an_address_is_stored_as_the_operator_set(
    store_ip: str, address: str, stored: str | None
) -> None:
    assert load({"STORE_IP": store_ip}).store_ip == store_ip
    async with running(address, store_ip=store_ip) as client:
        await client.send_events(GOOD, origin="https://shop.example", user_agent=CHROME)
        await client.send_events(
            {"type": "track", "event": "e", "userId": "u", "context": {"ip": address}}, "/v1/track"
        )
        assert [json.loads(event.metadata).get("$ip") for event in client.sink.events] == [
            stored,
            stored,
        ]


async def test_what_is_dropped_is_told_by_its_reason_in_the_answer_and_the_metrics() -> None:
    for reason in pipeline.REASONS:
        metrics.events_dropped.set({"reason": reason}, 0)
    async with running() as client:
        bad = GOOD | {"session_id": ""}
        page = {"origin": "https://shop.example"}
        answer = await client.send_events([GOOD, bad, GOOD], user_agent=GOOGLEBOT, **page)
        assert (answer.status_code, answer.json()["accepted"], len(answer.json()["rejected"])) == (
            202,
            0,
            1,
        )
        assert (
            answer.headers["x-analytics"]
            == "1 rejected; the first: too_short session_id; 2 dropped: drop_bots"
        )
        await client.send_events(GOOD, user_agent=CHROME, dnt="1", **page)
        text = (await client.get("/metrics")).text
        assert 'analytics_events_dropped_total{reason="drop_bots"} 2' in text
        assert 'analytics_events_dropped_total{reason="drop_opted_out"} 1' in text


async def test_no_address_leaves_the_collector(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with running(ADDRESS) as client:
        page = {"n": "pageview", "u": "https://shop.example/", "d": "shop.example"}
        await client.send_events(
            page, "/api/event", origin="https://shop.example", user_agent=CHROME
        )
        call = {
            "type": "track",
            "event": "e",
            "userId": "u",
            "context": {"ip": ADDRESS, "device": {}},
        }
        await client.send_events({"batch": [call], "writeKey": "w"}, "/v1/batch")
        await client.send_events(
            GOOD | {"metadata": {"$ip": ADDRESS}}, x_forwarded_for=ADDRESS, x_real_ip=ADDRESS
        )
        assert len(client.sink.events) == 3
        assert ADDRESS.encode() not in msgspec.json.encode(client.sink.events)
        assert (await client.get("/metrics")).text.count(ADDRESS) == 0
    assert ADDRESS not in "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("httpx")
    )


async def test_without_a_salt_nothing_is_accepted() -> None:
    async with running() as client:
        client.salts.refusal = Unavailable("no salt")
        assert error_of(await client.send_events(GOOD)) == (503, "unavailable")
        assert client.sink.events == []
