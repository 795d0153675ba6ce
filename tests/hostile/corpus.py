"""What attackers and broken clients send: texts for every field, and bodies for every route."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

TEXTS: dict[str, str] = {
    "nothing": "",
    "NUL": "\x00",
    "NUL inside": "a\x00b",
    "a lone surrogate": "\ud800",
    "control characters": "\x01\x02\x1b[31m\x7f",
    "a line break": "a\r\nX-Injected: 1",
    "a metric": 'x"} 1\ninjected_total 1\n# ',
    "SQL": "'; drop table raw_events; --",
    "SQL in a name": 'metadata."; select pg_sleep(60) --',
    "a format string": "%s%n{0.__class__}${jndi:ldap://127.0.0.1:1/a}",
    "markup": "<script>alert(1)</script>",
    "a path": "../../../../etc/passwd",
    "an address": "http://169.254.169.254/latest/meta-data/",
    "right to left": "\u202e\u2066abc",
    "combining": "e" + "\u0301" * 200,
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "the last character": "\U0010ffff",
    "not a number": "NaN",
    "infinity": "-Infinity",
    "a huge number": "1e400",
    "a tiny number": "1e-999999999",
    "a huge integer": "9" * 5_000,
    "a negative number": "-1",
    "digits that are no ASCII": "\u00b2\u0663",
    "an underscore in a number": "1_000",
    "a long text": "x" * 5_000,
    "a huge key": "metadata." + "k" * 4_000,
    "deep keys": "metadata" + ".a" * 2_000,
    "many commas": "," * 3_000,
    "many alternatives": "a," * 2_000,
    "brackets": "(" * 3_000,
    "a pattern that explodes": "metadata.a.re.(a*)*(a*)*(a*)*b",
    "operators": "--------------------------------A",
    "the year 0": "0000-01-01",
    "the year 1": "0001-01-01T00:00:00+14:00",
    "the year 1969": "1969-12-31T23:59:59Z",
    "the last year": "9999-12-31T23:59:59-23:59",
    "beyond calendars": "+292277026596-12-04T15:30:08Z",
    "a long duration": "99999999999d",
    "a time zone that is a file": "../../etc/passwd",
    "percent signs": "%%%2",
    "twice encoded": "%2500",
    "an expression": "__import__('os').system('id')",
}
"""Name → a text that is wrong nearly everywhere; elsewhere it must count as plain text."""

RAW: dict[str, bytes] = {
    "bad UTF-8": b"%ff%fe",
    "an overlong NUL": b"%c0%80",
    "half a character": b"%e2%82",
    "half an escape": b"%",
    "unencoded": "\u00e9".encode(),
    "unencoded and bad": b"\xff\xfe",
    "UTF-16": b"%ff%fea%00",
}
"""Name → bytes of a query string or a path that are not a text."""


def encoded(text: str) -> bytes:
    """A text, encoded for a query string or a path."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="").encode()


VALUES: dict[str, bytes] = {**{name: encoded(text) for name, text in TEXTS.items()}, **RAW}
"""All of them, encoded for a query string or a path."""

HEADERS: dict[str, bytes] = {
    "nothing": b"",
    "bad UTF-8": b"\xff\xfe",
    "a long value": b"x" * 8_000,
    "a key of nobody": b"Bearer ak_r_" + b"x" * 43,
    "a key that is no text": b"Bearer \xff\xff",
    "a scheme alone": b"Bearer",
    "basic that is no base64": b"Basic !!!!",
    "SQL": b"' or 1=1 --",
    "a huge number": b"9" * 400,
    "a negative number": b"-1",
    "not a number": b"NaN",
    "quotes": b'"\\" ; q="',
    "many commas": b"," * 4_000,
    "a format string": b"${jndi:ldap://127.0.0.1:1/a}",
    "addresses": b"127.0.0.1, 169.254.169.254",
    "null": b"null",
}
"""Name → the value of a header. Servers pass on no CR, LF or NUL."""

HEADER_NAMES = tuple(
    (
        b"authorization x-api-key x-write-key origin content-encoding content-type "
        b"content-length user-agent referer cookie last-event-id if-none-match accept "
        b"accept-encoding accept-language x-real-ip x-forwarded-for forwarded host range "
        b"traceparent ce-id ce-time posthog-sent-at x-amzn-trace-id"
    ).split()
)

NOW = datetime.now(UTC)
EVENT: dict[str, Any] = {
    "session_id": "s",
    "event_type": "t",
    "event_action": "a",
    "user_id": "u",
    "metadata": {"k": "v"},
    "timestamp": NOW.isoformat(),
    "id": "x",
    "event": "e",
    "type": "track",
    "userId": "u",
    "anonymousId": "s",
    "messageId": "m",
    "distinct_id": "u",
    "properties": {"distinct_id": "u", "token": "t", "k": 1},
    "specversion": "1.0",
    "source": "/s",
    "data": {"k": 1},
    "name": "pageview",
    "url": "https://example.org/",
    "domain": "example.org",
    "client_id": "c",
    "payload": {"website": "00000000-0000-0000-0000-000000000000", "url": "/", "hostname": "h"},
    "device_id": "d",
    "e": "pv",
    "p": "web",
    "tv": "x",
}
"""An event that most protocols understand."""


FIELDS = b'"session_id":"s","event_type":"t","event_action":"a"'
"""The fields that every event needs, as JSON text that a test may break."""


def _nested(levels: int) -> bytes:
    value = b'{"a":' * levels + b"1" + b"}" * levels
    return b'{%b,"event":"e","properties":%b,"metadata":%b}' % (FIELDS, value, value)


def _with(**fields: Any) -> bytes:
    return json.dumps({**EVENT, **fields}).encode()


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "spaces": b" " * 1_000,
    "no JSON": b"session_id=s1&event=e",
    "null": b"null",
    "a number": b"1e400",
    "a string": b'"\\ud800"',
    "an empty object": b"{}",
    "an empty list": b"[]",
    "a list of everything": b'[null,1,"x",[],{},true,1e400]',
    "cut short": _with()[:-1],
    "NUL bytes": b"\x00" * 100,
    "bad UTF-8": b'{"batch":[{"event":"\xff"}],"session_id":"\xff"}',
    "an overlong NUL": b'{"session_id":"\xc0\x80","event_type":"t","event_action":"a"}',
    "a BOM": b"\xef\xbb\xbf" + _with(),
    "UTF-16": _with().decode().encode("utf-16"),
    "600 levels": _nested(600),
    "100,000 levels": b"[" * 100_000,
    "100,000 levels of objects": b'{"a":' * 100_000,
    "NaN": b'{%b,"event":"e","distinct_id":"u","properties":{"a":NaN},' % FIELDS
    + b'"metadata":{"a":NaN,"b":-Infinity}}',
    "1e400": b'{%b,"event":"e","distinct_id":"u","properties":{"a":1e400},' % FIELDS
    + b'"metadata":{"a":1e400}}',
    "a number of 200,000 digits": b'{%b,"metadata":{"a":%b},"time":%b}'
    % (FIELDS, b"9" * 200_000, b"9" * 200_000),
    "an exponent of 9 digits": b'{%b,"metadata":{"a":1e-999999999},"timestamp":1e999999999}'
    % FIELDS,
    "a key of 500,000 characters": b'{%b,"metadata":{"%b":1}}' % (FIELDS, b"k" * 500_000),
    "20,000 keys": _with(
        metadata={f"k{number}": number for number in range(20_000)},
        properties={f"k{number}": number for number in range(20_000)},
    ),
    "the same key twice": b'{"session_id":"s","session_id":"\\u0000","event_type":"t",'
    b'"event_action":"a","event":"e"}',
    "2,000 empty events": b'{"batch":[%b{}],"events":[%b{}]}' % ((b"{}," * 2_000,) * 2),
    "half a gzip": gzip.compress(_with() * 100)[:-4],
    "a gzip bomb": gzip.compress(bytes(16 << 20)),
    "no gzip": b"\x1f\x8b\x08" + b"\xff" * 100,
    "a form": b"data=%7B%22event%22%3A%22%00%22%7D&data=!!!&verbose=1",
    "a form of base64": b"data=eyJldmVudCI6ICJcdWQ4MDAifQ%3D%3D",
    **{
        f"{name} everywhere": _with(
            **{field: text for field, value in EVENT.items() if isinstance(value, str)}
        )
        for name, text in TEXTS.items()
    },
    **{
        f"{name} as metadata": _with(
            metadata={text: text}, properties={"distinct_id": "u", text: text}, data={text: text}
        )
        for name, text in TEXTS.items()
    },
    **{
        f"the time {value!r}": _with(
            timestamp=value, time=value, sent_at=value, originalTimestamp=value, dtm=value
        )
        for value in (
            -(10**30),
            10**30,
            -1,
            0,
            0.5,
            1e300,
            True,
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59-23:59",
            "2026-02-30T00:00:00Z",
            "2026-01-01T00:00:00",
        )
    },
    "25 hours ahead": _with(timestamp=(NOW + timedelta(hours=25)).isoformat()),
}
"""Name → a body that is wrong in some way, or valid although it does not look so."""
