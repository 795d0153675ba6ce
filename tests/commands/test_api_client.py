"""Whatever listens at the address of an api, a question to it ends with an answer or one line."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from analytics.commands.api_client import ApiClient
from analytics.errors import CommandError, ConfigurationError
from tests.waiting import PATIENCE_SECONDS


@contextmanager
def server(*answers: bytes) -> Iterator[str]:
    """The address of a server that gives one answer to each connection, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def http(status: str, body: bytes = b"", *headers: bytes) -> bytes:
    lines = (b"HTTP/1.1 " + status.encode(), *headers, b"Connection: close", b"", body)
    return b"\r\n".join(lines)


UNKNOWN = http("404 Not Found", b'{"error": {"code": "not_found", "message": "nothing here"}}')
PATHS = http(
    "200 OK",
    b'{"paths": {"/api/trends": {}, "/api/users/{id}/timeline": {},'
    b' "/api/paths": {"get": {"parameters": [{"name": "event"}, {"name": "depth"}]}}}}',
)
PARAMETER = http(
    "400 Bad Request",
    b'{"error": {"code": "unknown_parameter", "message": "no parameter", "field": "evnt"}}',
)


@pytest.mark.parametrize(
    ("question", "answers", "said"),
    [
        ("trend", (UNKNOWN, PATHS), "the api says: nothing here; did you mean trends?"),
        (
            "users/ada/timelin",
            (UNKNOWN, PATHS),
            "the api says: nothing here; did you mean users/ada/timeline?",
        ),
        (
            "zzz",
            (UNKNOWN, PATHS),
            "the api says: nothing here; `analytics query openapi.json` lists all questions",
        ),
        ("paths", (PARAMETER, PATHS), "the api says: no parameter; did you mean event?"),
        ("trend", (UNKNOWN, b"garbage"), "the api says: nothing here"),
        ("trend", (UNKNOWN, http("200 OK", b"[]")), "the api says: nothing here"),
        ("trends", (http("500 Oh", b"<html>"),), "the api says: it answered 500"),
        ("trends", (http("500 Oh", b'{"error": "no"}'),), "the api says: it answered 500"),
        ("trends", (b"SSH-2.0-OpenSSH\r\n",), "no api answers at"),
        ("trends", (b"",), "no api answers at"),
    ],
)
def test_a_refusal_says_why_and_what_was_meant(
    question: str, answers: tuple[bytes, ...], said: str
) -> None:
    with (
        server(*answers) as base,
        pytest.raises(CommandError) as caught,
        ApiClient(base, "key").ask(question, [("evnt", "a")]),
    ):
        pass
    assert caught.value.message.startswith(said)
    assert "\n" not in caught.value.message


def test_an_answer_that_breaks_off_is_an_error() -> None:
    whole = http("200 OK", b"5\r\nhello\r\nff\r\n", b"Transfer-Encoding: chunked")
    with (
        server(whole) as base,
        pytest.raises(CommandError, match="broke off"),
        ApiClient(base, "key").ask("export", []) as answer,
    ):
        answer.read()


@pytest.mark.parametrize(
    "base",
    ["", "localhost", "ftp://x", "file:///etc", "http://", "http://[::1", "http://x:99999",
     "http://x:y", "http://a b", "http://x/\r\nHost: y", "http://é"],
)  # fmt: skip
def test_what_is_no_address_is_named(base: str) -> None:
    with pytest.raises(ConfigurationError, match="--url"):
        ApiClient(base, "key")


@pytest.mark.parametrize("key", ["é", "a\r\nX-Other: b", "\udcff"])
def test_what_can_be_no_key_is_not_sent(key: str) -> None:
    with pytest.raises(ConfigurationError, match="key"):
        ApiClient("http://127.0.0.1:1", key)


NO_PROXY = "http://127.0.0.1:1"
"""Nothing listens there."""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_api_of_this_machine_is_asked_directly(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", NO_PROXY)
    with (
        server(http("200 OK", b"{}")) as base,
        ApiClient(base.replace("127.0.0.1", host), "key").ask("trends", []) as answer,
    ):
        assert answer.read() == b"{}"


def test_an_api_elsewhere_is_asked_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with server(http("200 OK", b"{}")) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        with ApiClient("http://analytics.invalid", "key").ask("trends", []) as answer:
            assert answer.read() == b"{}"
