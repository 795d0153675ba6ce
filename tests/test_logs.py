"""What the logs say, and which secrets they never show."""

import io
import json
import logging
import subprocess
import sys
import time
import timeit
from collections.abc import Iterator

import pytest

from analytics import logs
from analytics.settings import Settings
from tests.test_terminal import is_hidden

CANARY = "ak_w_" + "Zq7" * 14


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    yield stream
    sys.excepthook = hook
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"key {CANARY} refused", CANARY),
        (f"Authorization: Bearer {CANARY}", CANARY),
        ("Authorization: Basic V0s6c2VjcmV0", "V0s6c2VjcmV0"),
        ("X-API-Key: plain-old-key", "plain-old-key"),
        ('{"write_key": "hunter22"}', "hunter22"),
        ("GET /collect.gif?write_key=hunter22&x=1", "hunter22"),
        ("redis://:hunter22@cache:6379/0 refused", "hunter22"),
        ("postgresql://app:hunter22@db/analytics", "hunter22"),
        ("user ada@example.org left", "ada@example.org"),
        ("peer 203.0.113.77 is too fast", "203.0.113.77"),
        ("peer [2001:db8:12::ab:77]:443 is too fast", "ab:77"),
        ("peer 2001:db8:12:34:5:6:7:8: left", "5:6:7:8"),
    ],
)
def test_secrets_and_personal_data_are_hidden(text: str, hidden: str) -> None:
    assert hidden in text
    assert hidden not in logs.redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "listening on 127.0.0.1:4001",
        "on [::1]:4001, from 14:03:07 on",
        "std::move at 2a:b",
        "stored 1,000 events in 0.2 s",
        "redis://cache:6379/0",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert logs.redact(text) == text


@pytest.mark.parametrize("word", ["f", "a://:", "1.2.3.", "password: ", "a@b."])
def test_a_long_word_costs_no_more_than_its_length(word: str) -> None:
    def seconds(characters: int) -> float:
        text = word * (characters // len(word))
        return min(
            timeit.repeat(lambda: logs.redact(text), timer=time.thread_time, number=1, repeat=5)
        )

    # measured up to five times: a busy machine spoils some measurements, never all alike
    assert any(seconds(40_000) < 60 * seconds(2_000) for _ in range(5)), (
        "20 times the length: 400 times as long, were it quadratic"
    )


def test_the_configured_keys_are_hidden_whatever_they_look_like(output: io.StringIO) -> None:
    logs.setup(Settings(api_keys=("correct horse battery",)), output)
    logging.getLogger("x").warning("somebody sent correct horse battery")
    assert "somebody sent …" in output.getvalue()


def test_production_writes_one_json_object_a_line_with_the_traceback_inside(
    output: io.StringIO,
) -> None:
    logs.setup(Settings(environment="production"), output)
    try:
        raise ValueError(f"with {CANARY}\nin two lines")
    except ValueError:
        logging.getLogger("analytics.x").exception("it broke: %s", CANARY)
    lines = output.getvalue().splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["level"], line["logger"]) == ("error", "analytics.x")
    assert "ValueError" in line["trace"]
    assert CANARY not in lines[0]


def test_what_ends_the_process_is_told_as_all_else_is() -> None:
    program = (
        "from analytics import logs; from analytics.settings import Settings; import warnings;"
        "logs.setup(Settings(environment='production')); warnings.warn('hunter'); raise ValueError('redis://:hunter22@cache:6379/0')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    warning, last = map(json.loads, done.stderr.splitlines())
    assert (done.returncode, warning["level"], last["level"]) == (1, "warning", "critical")
    assert "ValueError" in last["trace"]
    assert "hunter22" not in done.stderr


def test_development_is_readable(output: io.StringIO) -> None:
    logs.setup(Settings(), output)
    logging.getLogger("analytics.x").info("hello")
    assert output.getvalue().rstrip().endswith("info     analytics.x  hello")


@pytest.mark.parametrize("environment", ["development", "production"])
def test_no_log_line_holds_what_a_terminal_obeys(environment: str, output: io.StringIO) -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u200b\r\n12:00:00 info  all is well"
    logs.setup(Settings(environment=environment), output)
    try:
        raise ValueError(hostile)
    except ValueError:
        logging.getLogger("analytics.x").exception("it broke: %s", hostile)
    lines = output.getvalue().split("\n")
    assert not any(is_hidden(character) for line in lines for character in line)
    if environment == "production":
        assert json.loads(lines[0])["message"] == f"it broke: {hostile}"


def test_the_level_is_the_settings(output: io.StringIO) -> None:
    logs.setup(Settings(log_level="error"), output)
    logging.getLogger("analytics.x").warning("hello")
    assert output.getvalue() == ""


def test_what_any_request_can_cause_is_logged_once_a_minute() -> None:
    times = iter((1000.0, 1000.0, 1059.9, 1060.0, 1061.0, 1200.0))
    seldom = logs.Seldom(now=lambda: next(times))
    assert [seldom.passes() for _ in range(6)] == [True, False, False, True, False, True]


def test_libraries_have_no_debug_messages_because_they_show_requests(output: io.StringIO) -> None:
    logs.setup(Settings(log_level="debug"), output)
    logging.getLogger("hpack.hpack").debug("Decoded %s", "a foreign token")
    logging.getLogger("analytics.x").debug("our own")
    assert "our own" in output.getvalue()
    assert "foreign" not in output.getvalue()
