"""Logging: JSON lines in production, readable lines in development.

Neither holds secrets or personal data, nor characters that a terminal obeys.
"""

import ipaddress
import logging
import math
import re
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

import msgspec

from analytics.settings import Settings
from analytics.terminal import visible, visible_json

log = logging.getLogger(__name__)

SELDOM_SECONDS = 60.0

_NAMES_OF_SECRETS = "x-api-key|x-write-key|write_?key|api_?key|password|secret|token"

SECRETS = (
    (re.compile(r"\bak_[wra]_[A-Za-z0-9_-]+"), lambda m: m.group()[:7] + "…"),
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]+"), r"\1…"),
    (
        re.compile(rf"(?i)((?:{_NAMES_OF_SECRETS})[\"']?\s*[:=]\s*[\"']?)" r"[^\s\"',&;}]+"),
        r"\1…",
    ),
    (
        re.compile(r"(\b\w+://[^\s:/@]*:)([^\s@]++)(@?)"),
        lambda m: f"{m[1]}…@" if m[3] else m.group(),
    ),
)
"""Patterns of secrets and their replacements: our keys, credentials in headers and URLs.

None looks at a part of the text again and again: a URL's matches without a password too.
"""


def _site(match: re.Match[str]) -> str:
    """An IPv6 address cut to its site (/48); our own addresses and other text stay as they are."""
    text = match.group()
    bare = text if text.endswith("::") else text.removesuffix(":")
    try:
        address = ipaddress.IPv6Address(bare)
    except ValueError:
        return text
    if address.is_loopback or address.is_unspecified:
        return text
    return f"{':'.join(address.exploded.split(':')[:3])}:…{text.removeprefix(bare)}"


PERSONAL = (
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]+"), "…@…"),
    (
        re.compile(r"\b(?:(?!127\.|0\.0\.0\.0)\d{1,3}\.\d{1,3}\.\d{1,3}\.)\d{1,3}\b"),
        lambda m: m.group().rpartition(".")[0] + ".…",
    ),
    (re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,8}+[0-9a-fA-F]{0,4}+(?!\w|\.\d)"), _site),
)
"""Patterns of personal data and their replacements, because logs are kept.

E-mail addresses, and the last part of other machines' IP addresses.
"""

_secrets_of_settings: set[str] = set()


def hide_secrets(text: str) -> str:
    """A text without keys and passwords."""
    for secret in _secrets_of_settings:
        text = text.replace(secret, "…")
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


def redact(text: str) -> str:
    """A text without keys, passwords and personal data."""
    text = hide_secrets(text)
    for pattern, replacement in PERSONAL:
        text = pattern.sub(replacement, text)
    return text


def _message(record: logging.LogRecord) -> str:
    return redact(record.getMessage())


def _trace(record: logging.LogRecord) -> str | None:
    if not record.exc_info:
        return None
    return redact("".join(traceback.format_exception(*record.exc_info)))


def _instant(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


class Seldom:
    """For what any request can cause: lets one message a minute through."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._next_at = -math.inf

    def passes(self) -> bool:
        """Whether a message may be logged now; then the next one may in a minute."""
        now = self._now()
        if now < self._next_at:
            return False
        self._next_at = now + SELDOM_SECONDS
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and a trace where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if trace := _trace(record):
            line["trace"] = trace
        return visible_json(msgspec.json.encode(line).decode())


class Readable(logging.Formatter):
    """`14:03:07 warning  analytics.queue  message`."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_instant(record):%H:%M:%S} {record.levelname.lower():8} {record.name}"
        lines = [f"{head}  {_message(record)}"]
        if trace := _trace(record):
            lines += trace.rstrip("\n").split("\n")
        return "\n".join(map(visible, lines))


def _last_words(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log the exception that ends the process, its traceback redacted like every other."""
    log.critical("ended by an unexpected error", exc_info=(kind, error, trace))


QUIET = ("hypercorn.access", "arq", "alembic", "asyncio")
"""Libraries whose messages at level `info` are noise to an operator."""


def setup(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every log to `stream` (by default standard error), in the form of the environment.

    Only our own messages go down to `debug`: those of libraries would show whole requests, with
    tokens that no pattern can know.

    Python's warnings, and an exception that ends the process, go there too.
    """
    _secrets_of_settings.clear()
    _secrets_of_settings.update(key for key in settings.api_keys if len(key) >= 8)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if settings.production else Readable())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    logging.getLogger("analytics").setLevel(root.level)
    root.setLevel(max(logging.INFO, root.level))
    sys.excepthook = _last_words
    logging.captureWarnings(capture=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
