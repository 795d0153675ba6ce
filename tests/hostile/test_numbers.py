"""Numbers that are short to write and long to compute, wherever somebody may write one."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from analytics import hosts, zones
from analytics.errors import AnalyticsError
from analytics.importing import times
from analytics.protocols import metadata
from analytics.protocols.protocol import EventError
from analytics.queries.language.filters import Where
from analytics.queries.language.formula import Formula
from analytics.queries.language.measures import Measure
from analytics.queries.language.times import Duration, Last
from analytics.queries.questions.cursors import EventCursor, ExportCursor
from analytics.spans import parse_span
from tests.protocols.captured import collector

CPU_SECONDS = 2.0
"""A number takes milliseconds; one of a million digits ten times as long as this."""

NUMBERS = (
    *("9e999992", "-9e999992", "9E+999992", "1e-999992", "0e999999999", "1e9999999999999999999"),
    *("1e400", "1e308", "1e-400", "9" * 29, "9" * 400, "9" * 4_301, "9" * 20_000),
    *("." + "9" * 5_000, "NaN", "sNaN", "Infinity", "-Infinity", "1_764_000_000", "0x10", "+1"),
    *("1.", ".5", "--1", "1e", "\u0661\u0667\u0666", "\uff11\uff17", "\u00b2", "true", ""),
    "[0,[1],999999992]",
)
"""What `Decimal`, `int` and `float` read, or nearly."""

AS_JSON = tuple(text for text in NUMBERS if text and text[0] in "-0123456789t[NI")
"""Those that may also stand in a body without quotes; several are not JSON then."""

POSTS: dict[str, tuple[str, str]] = {
    "umami": ("/api/send", '{"type":"event","payload":{"website":"w","url":"/","timestamp":@}}'),
    "ga4": (
        "/mp/collect?measurement_id=G",
        '{"client_id":"a","events":[{"name":"b","timestamp_micros":@}]}',
    ),
    "ga4, for all events": (
        "/mp/collect?measurement_id=G",
        '{"client_id":"a","timestamp_micros":@,"events":[{"name":"b"}]}',
    ),
    "ga4, a session": (
        "/mp/collect?measurement_id=G",
        '{"client_id":"a","events":[{"name":"b","params":{"session_id":@,"value":@}}]}',
    ),
    **{
        f"snowplow, {name}": (
            "/com.snowplowanalytics.snowplow/tp2",
            f'{{"data":[{{"e":"se","se_ca":"c","se_ac":"a","se_va":@,"{name}":@}}]}}',
        )
        for name in ("dtm", "ttm", "stm")
    },
    "matomo": ("/matomo.php", '{"requests":[{"idsite":"1","rec":"1","cdt":@}]}'),
    "mixpanel": ("/track", '[{"event":"e","properties":{"time":@,"$insert_id":"i"}}]'),
    "mixpanel, a profile": ("/engage", '[{"$distinct_id":"u","$set":{"a":1},"$time":@}]'),
    "mixpanel, an import": ("/import", '[{"event":"e","properties":{"time":@}}]'),
    "amplitude": (
        "/2/httpapi",
        '{"api_key":"k","client_upload_time":@,"events":[{"event_type":"e","user_id":"u",'
        '"time":@,"session_id":@,"price":@}]}',
    ),
    "posthog": (
        "/batch/",
        '{"sent_at":@,"batch":[{"event":"e","distinct_id":"u","timestamp":@,"properties":{}}]}',
    ),
    "posthog, an offset": (
        "/batch/",
        '{"sent_at":"2026-11-23T14:00:00Z","batch":[{"event":"e","distinct_id":"u","offset":@}]}',
    ),
    "segment": (
        "/v1/batch",
        '{"sentAt":@,"batch":[{"type":"track","event":"e","userId":"u","timestamp":@,'
        '"properties":{"revenue":@}}]}',
    ),
    "plausible": ("/api/event", '{"n":"e","u":"/","d":"x","w":@,"$":{"amount":@}}'),
    "ours": (
        "/collect",
        '{"sent_at":"2026-11-23T14:00:00Z","events":[{"session_id":"s","event_type":"t",'
        '"event_action":"a","timestamp":@,"metadata":{"n":@}}]}',
    ),
}
"""Name → a path and a body with a number in the place of each @."""

QUERIES: dict[str, str] = {
    "snowplow": "/i?e=se&se_ca=c&se_ac=a&dtm=@&stm=@&se_va=@",
    "matomo": "/matomo.php?idsite=1&rec=1&cdt=@&e_c=c&e_a=a&e_v=@",
    "the pixel": "/collect.gif?session_id=s&event_type=t&event_action=a&timestamp=@&metadata.n=@",
    "posthog": "/e/?_=@&data=" + quote('{"event":"e","distinct_id":"u","offset":1}'),
}


@pytest.mark.parametrize("name", POSTS)
async def test_no_number_in_a_body_takes_long(name: str) -> None:
    path, body = POSTS[name]
    spellings = [*map(json.dumps, NUMBERS), *AS_JSON]
    async with collector() as client:
        for spelling in spellings:
            began = time.process_time()
            answer = await client.send_events(body.replace("@", spelling).encode(), path)
            assert answer.status_code in (200, 202, 204, 400), spelling[:40]
            assert time.process_time() - began < CPU_SECONDS, spelling[:40]
        received = {event.created_at for event in client.sink.events}
        assert all(event.timestamp.year < max(received).year + 1 for event in client.sink.events)


@pytest.mark.parametrize("name", QUERIES)
async def test_no_number_in_an_address_takes_long(name: str) -> None:
    async with collector() as client:
        for number in NUMBERS:
            began = time.process_time()
            answer = await client.get(QUERIES[name].replace("@", quote(number)))
            assert answer.status_code in (200, 400), number[:40]
            assert time.process_time() - began < CPU_SECONDS, number[:40]


TIMES = {
    "umami": POSTS["umami"],
    "ga4": POSTS["ga4"],
    "snowplow": ("/com.snowplowanalytics.snowplow/tp2", '{"data":[{"e":"pv","dtm":@}]}'),
    "matomo": POSTS["matomo"],
    "mixpanel": ("/track?verbose=1", '[{"event":"e","properties":{"time":@}}]'),
    "amplitude": ("/2/httpapi", '{"events":[{"event_type":"e","user_id":"u","time":@}]}'),
    "ours": POSTS["ours"],
}


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize(
    "value",
    [
        *('"9e999992"', '"1_764_000_000"', "true", "[0,[1],5]", '"NaN"', '"\\uff11\\uff17"'),
        *('"\\u0661\\u0667\\u0666\\u0664"', '"+1764000000"', '"0x6923"'),
    ],
)
async def test_what_is_no_number_is_no_time_in_any_protocol(name: str, value: str) -> None:
    path, body = TIMES[name]
    async with collector() as client:
        answer = await client.send_events(body.replace("@", value).encode(), path)
        assert answer.status_code == 400
        assert "bad_timestamp" in answer.headers["x-analytics"]
        assert client.sink.events == []


@pytest.mark.parametrize("name", ["umami", "ga4", "snowplow", "matomo", "mixpanel", "amplitude"])
@pytest.mark.parametrize("spelling", ["@", '"@"', '"@.0"', "@e0"])
async def test_a_time_is_a_number_however_it_is_sent(name: str, spelling: str) -> None:
    at = datetime(2025, 11, 24, 16, 0, tzinfo=UTC)
    units = {"ga4": 10**6, "snowplow": 1000, "amplitude": 1000}
    path, body = TIMES[name]
    number = str(int(at.timestamp()) * units.get(name, 1))
    async with collector() as client:
        value = spelling.replace("@", number)
        assert (await client.send_events(body.replace("@", value).encode(), path)).is_success
        [event] = client.sink.events
        assert event.timestamp == at


READERS: dict[str, Callable[[str], Any]] = {
    "a time in a file": lambda text: times.read(text, None),
    "a number in a file": lambda text: times.read(metadata.parse(text), None),
    "a filter": lambda text: Where.read(f"metadata.n.gt.{text}"),
    "a formula": Formula.read,
    "a computed formula": lambda text: Formula.read("*".join(["A"] * 99)).of({"A": 10**300}),
    "a percentile": lambda text: Measure.read(f"p{text}:metadata.n"),
    "a span": parse_span,
    "a duration": Duration.read,
    "a range": Last.read,
    "a moment": zones.moment,
    "a cursor": EventCursor.read,
    "a cursor of an export": lambda text: ExportCursor.read(f"{text},{'0' * 32}"),
    "a port": lambda text: hosts.origin(f"https://a.example:{text}"),
}


@pytest.mark.parametrize("name", READERS)
def test_no_number_elsewhere_takes_long(name: str) -> None:
    for number in NUMBERS:
        began = time.process_time()
        with suppress(ValueError, AnalyticsError, EventError):
            READERS[name](number)
        assert time.process_time() - began < CPU_SECONDS, number[:40]
