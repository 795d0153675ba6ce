"""A visitor's address and user agent are used for the reply, and stored nowhere.

They are in no queue, no row, no log, and no file of a server.
"""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator

import msgspec
import pytest

from analytics.embedded import Postgres, Valkey
from analytics.redis.salts import SALT
from tests.faults.platform import Platform, Role, http_get
from tests.servers import temporary_folder
from tests.waiting import wait_for

ADDRESSES = ("203.0.113.77", "2001:db8:77:1::9")
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64; canary-4711) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
SECRET = ("203.0.113", "2001:db8:77", "canary-4711", "cookie-4711")
SEEN = "seen-4711"
"""In every event. A search must find it, or finding no secret would prove nothing."""

FORM = "application/x-www-form-urlencoded"


def requests(address: str) -> Iterator[tuple[str, bytes | None, str]]:
    """Path, body and content type: an event of each protocol, with the address if possible."""
    for path, body in {
        "/collect": {
            "session_id": "$nobody",
            "event_type": "t",
            "event_action": SEEN,
            "metadata": {"$ip": address, "$remote_addr": address},
        },
        "/v1/track": {
            "type": "track",
            "event": SEEN,
            "anonymousId": "a",
            "request_ip": address,
            "context": {"ip": address, "device": {"ip": address}},
        },
        "/batch": {
            "api_key": "k",
            "batch": [
                {
                    "event": SEEN,
                    "distinct_id": "a",
                    "properties": {"$ip": address, "$set": {"$ip": address}},
                }
            ],
        },
        "/2/httpapi": {
            "api_key": "k",
            "events": [{"event_type": SEEN, "device_id": "a", "ip": address}],
        },
        "/api/event": {"n": SEEN, "u": "https://shop.example/", "d": "shop.example", "i": False},
        "/api/send": {"type": "event", "payload": {"website": "w", "name": SEEN, "ip": address}},
        "/com.snowplowanalytics.snowplow/tp2": {
            "data": [{"e": "se", "se_ca": "c", "se_ac": SEEN, "eid": "e", "ip": address}]
        },
        "/mp/collect?measurement_id=G-1&api_secret=s": {
            "client_id": "1.2",
            "ip_override": address,
            "events": [{"name": SEEN}],
        },
    }.items():
        yield path, json.dumps(body).encode(), "text/plain"
    mixpanel = json.dumps(
        {"event": SEEN, "properties": {"token": "k", "distinct_id": "a", "ip": address}}
    )
    yield "/track", urllib.parse.urlencode({"data": mixpanel}).encode(), FORM
    yield (
        "/matomo.php",
        urllib.parse.urlencode({"idsite": 1, "rec": 1, "e_a": SEEN, "cip": address}).encode(),
        FORM,
    )
    cloud = {"specversion": "1.0", "id": address[-2:], "source": "/", "type": SEEN}
    yield "/cloudevents", json.dumps(cloud).encode(), "application/cloudevents+json"
    yield f"/collect.gif?session_id=$nobody&event_type=t&event_action={SEEN}", None, ""


def visit(collector: Role, address: str) -> int:
    """Send all of them as a browser behind a proxy with X-Real-IP; how many were accepted."""
    accepted = 0
    for path, body, kind in requests(address):
        headers = {
            "Origin": "https://shop.example",
            "User-Agent": AGENT,
            "X-Real-IP": address,
            "X-Forwarded-For": address,
            "Cookie": "id=cookie-4711",
        }
        if kind:
            headers["Content-Type"] = kind
        # the URL is the collector's own
        request = urllib.request.Request(collector.url + path, body, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            assert answer.status in (200, 202, 204), path
            assert not answer.headers.get("x-analytics"), (path, answer.headers["x-analytics"])
            accepted += 1
    return accepted


def secrets_in(text: bytes | str) -> list[str]:
    """The secrets in a text. AssertionError if SEEN is missing."""
    known = text if isinstance(text, bytes) else text.encode()
    assert SEEN.encode() in known
    return [secret for secret in SECRET if secret.encode() in known]


def files(server: Postgres | Valkey) -> bytes:
    """Every byte that a server has on disk."""
    return b"\n".join(
        path.read_bytes() for path in sorted(server.folder.rglob("*")) if path.is_file()
    )


class Left(msgspec.Struct):
    """What remains of the visits."""

    sent: int
    queued: bytes
    """Redis on disk, before any processor ran."""
    redis: bytes
    """Redis on disk afterwards."""
    rows: str
    database: bytes
    """PostgreSQL on disk."""
    outputs: dict[str, str]
    """Logs, metrics and answers, by their source."""
    sessions: list[str]
    """The sessions of events without user and session."""
    salts: list[bytes]
    """The day's salt; two of them if midnight came between."""


@pytest.fixture(scope="module")
def left() -> Iterator[Left]:
    with (
        temporary_folder("privacy") as folder,
        Platform(folder, LOG_LEVEL="debug", TRUSTED_PROXIES="127.0.0.1/32") as platform,
    ):
        yield _left(platform)


def _left(platform: Platform) -> Left:
    # keys can be looked up from now on
    platform.run("keys", "create", "--project", "default", "--scope", "ingest")
    collector = platform.role("collector")
    sent = sum(visit(collector, address) for address in ADDRESSES)
    assert platform.books()["queued"] == sent
    queued = files(platform.valkey)

    processor, api = platform.role("processor"), platform.role("api")
    wait_for(platform.drained, "the queue to drain")
    platform.sql("CHECKPOINT")
    tables = platform.sql(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname !~ '^(pg_|information)'"
    ).split()
    outputs = {
        role.name: role.log.read_text() + http_get(f"{role.url}/metrics")[1].decode()
        for role in (collector, processor, api)
    }
    outputs["answers"] = json.dumps(platform.get(api, "/api/events?last=1d&limit=1000"))
    return Left(
        sent=sent,
        queued=queued,
        redis=files(platform.valkey),
        rows="\n".join(platform.sql(f"SELECT each::text FROM {table} AS each") for table in tables),
        database=files(platform.postgres),
        outputs=outputs,
        sessions=platform.sql(
            "SELECT session_id FROM raw_events WHERE metadata ->> '$domain' = 'shop.example'"
        ).split(),
        salts=[platform.redis("GET", key) for key in platform.redis("KEYS", f"{SALT}*")],
    )


def test_nothing_of_a_visitor_waits_in_the_queue(left: Left) -> None:
    assert left.queued.count(SEEN.encode()) >= left.sent
    assert secrets_in(left.queued) == secrets_in(left.redis) == []


def test_nothing_of_a_visitor_is_in_a_row_or_a_file_of_the_database(left: Left) -> None:
    assert left.rows.count(SEEN) >= left.sent
    assert secrets_in(left.rows) == secrets_in(left.database) == []


def test_nothing_of_a_visitor_is_in_a_log_a_metric_or_an_answer(left: Left) -> None:
    assert secrets_in(left.outputs["answers"]) == []
    assert [
        (name, secret) for name, text in left.outputs.items() for secret in SECRET if secret in text
    ] == []


def test_visitors_without_ids_are_told_apart_by_a_salt_that_only_redis_has(left: Left) -> None:
    assert len(set(left.sessions)) == len(left.sessions) == len(ADDRESSES)
    assert all(re.fullmatch("[$][0-9a-f]{32}", session) for session in left.sessions)
    for salt in left.salts:
        assert len(salt) == 32
        assert salt in left.redis
        assert salt not in left.database
        assert [
            name
            for name, text in left.outputs.items()
            if salt.hex() in text or repr(salt)[2:-1] in text
        ] == []
    assert left.salts
