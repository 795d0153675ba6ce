"""Questions to an api over HTTP; what goes wrong becomes one line that says what to do."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Any

import msgspec

from analytics.commands.address import opener
from analytics.commands.nearest import hint
from analytics.errors import CommandError, ConfigurationError

TIMEOUT_SECONDS = 60
DESCRIPTION = "openapi.json"
"""The question that lists all questions and their parameters."""


class Refusal(msgspec.Struct):
    """The error in an answer of the api."""

    message: str
    code: str = ""
    field: str = ""


class _Refused(msgspec.Struct):
    error: Refusal


class ApiClient:
    """One api, asked with one key."""

    def __init__(self, base: str, key: str) -> None:
        """Raises ConfigurationError when `base` is no address or `key` cannot be sent."""
        self.base = base.rstrip("/")
        self._key = key
        try:
            parts = urllib.parse.urlsplit(base)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not base.isascii() or not base.isprintable() or " " in base:
            raise ConfigurationError(
                "--url must be an address that begins with http:// or https://", field="--url"
            )
        if not key.isascii() or not key.isprintable():
            raise ConfigurationError("the key has characters that no key has", field="--key")
        self._opener = opener(parts.hostname or "")

    @contextmanager
    def ask(self, question: str, pairs: Sequence[tuple[str, str]]) -> Iterator[HTTPResponse]:
        """The open answer; raises CommandError when the api refuses, or does not answer whole."""
        path = urllib.parse.quote(question, errors="replace")
        query = urllib.parse.urlencode(pairs, errors="replace")
        try:
            opened = self._opened(f"{path}?{query}")
        except urllib.error.HTTPError as error:
            refusal = _refusal(error)
            raise CommandError(
                f"the api says: {refusal.message}{self._hint(refusal, question)}"
            ) from error
        except (OSError, HTTPException) as error:
            reason = " ".join(str(getattr(error, "reason", error)).split())
            raise CommandError(
                f"no api answers at {self.base}: {reason}; start one, or pass --url"
            ) from error
        with opened as answer:
            try:
                yield answer
            except (HTTPException, TimeoutError, ConnectionResetError) as error:
                raise CommandError(f"the answer of {self.base} broke off; ask again") from error

    def _opened(self, path: str) -> HTTPResponse:
        # S310: only http and https come as far as this
        request = urllib.request.Request(  # noqa: S310
            f"{self.base}/api/{path}", headers={"X-API-Key": self._key}
        )
        response: HTTPResponse = self._opener.open(request, timeout=TIMEOUT_SECONDS)
        return response

    def _hint(self, refusal: Refusal, question: str) -> str:
        """The question or the parameter that was meant, as the api itself describes them."""
        if refusal.code not in ("not_found", "unknown_parameter"):
            return ""
        try:
            with self._opened(DESCRIPTION) as answer:
                paths: dict[str, Any] = json.loads(answer.read())["paths"]
            questions = {_filled(path, question): described for path, described in paths.items()}
            if refusal.code == "not_found":
                every = f"; `analytics query {DESCRIPTION}` lists all questions"
                return hint(question, [*questions, DESCRIPTION]) or every
            parameters = questions[question]["get"]["parameters"]
            return hint(refusal.field, [parameter["name"] for parameter in parameters])
        except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError):
            return ""  # another server, or none any more: then there is nothing to add


def _refusal(error: urllib.error.HTTPError) -> Refusal:
    with error:
        try:
            return msgspec.json.decode(error.read(), type=_Refused).error
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError, HTTPException):
            return Refusal(f"it answered {error.code}")


def _filled(path: str, question: str) -> str:
    """A path below /api, with the words of the question in place of its parameters."""
    words = path.removeprefix("/api/").split("/")
    given = question.split("/")
    pairs = zip(words, given, strict=False) if len(words) == len(given) else ()
    filled = [mine if word.startswith("{") else word for word, mine in pairs]
    return "/".join(filled or words)
