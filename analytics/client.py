"""A small client for Python services: events are queued in memory and sent by a thread, again and
again under the same ids, until the collector has them.

It needs nothing but the standard library and imports nothing else of this package, so this file may
also be copied.
"""

import atexit
import gzip
import http.client
import json
import logging
import os
import random
import secrets
import threading
import time
import urllib.error
import urllib.request
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

log = logging.getLogger(__name__)

BATCH_EVENTS = 500
BATCH_BYTES = 512 << 10
MAX_BACKOFF = 60.0
NO_SESSION, NO_ACTOR = "$none", "$nobody"
"""What stands for the session where none is named, but a user is; and where neither is."""

Event = dict[str, Any]
OnDrop = Callable[[list[Event], str], None]
"""Is told which events will never arrive, and why; called in the sending thread."""


def report(events: list[Event], reason: str) -> None:
    """What becomes of dropped events unless a client is given something else: a line in the log."""
    log.error("%d events were dropped: %s", len(events), reason)


class Client:
    """Sends events to the collector at `url` with a write key. Any thread may use it, and so may a
    forked process, which has a queue of its own.

    `max_bytes` bounds what waits; when it is reached, new events are refused and the caller is
    told, never blocked. `interval` is how many seconds an event may wait for others, `timeout` how
    long one request may take, `exit_seconds` how long the end of the program may be held up by what
    still waits.
    """

    def __init__(
        self,
        url: str,
        write_key: str | None = None,
        *,
        interval: float = 0.5,
        max_bytes: int = 16 << 20,
        timeout: float = 10.0,
        exit_seconds: float = 5.0,
        on_drop: OnDrop = report,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"not a URL of a collector: {url!r}")
        self.url = f"{url.rstrip('/')}/collect"
        self.headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "User-Agent": "analytics-python",
        }
        if write_key:
            self.headers["Authorization"] = f"Bearer {write_key}"
        self.interval = interval
        self.max_bytes = max_bytes
        self.timeout = timeout
        self.exit_seconds = exit_seconds
        self.on_drop = on_drop
        self._reset()
        _clients.add(self)

    def _reset(self) -> None:
        """Begin with nothing: at the start, and in a forked process, for what its parent had is its
        parent's to send.
        """
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._captured = self._settled = self._wanted = 0
        self._batch = BATCH_EVENTS
        self._failures = 0
        self._thread: threading.Thread | None = None
        self._end: float | None = None

    def capture(
        self,
        event_action: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        event_type: str = "track",
        timestamp: datetime | None = None,
        id: str | None = None,
    ) -> bool:
        """Queue one event and say whether there was room. Raises TypeError or ValueError for what
        JSON cannot express, or a time without a zone.
        """
        if timestamp is not None and timestamp.tzinfo is None:
            raise ValueError("a timestamp needs a time zone")
        event = {
            "id": id or str(_uuid7()),
            "session_id": session_id or (NO_SESSION if user_id else NO_ACTOR),
            "user_id": user_id,
            "event_type": event_type,
            "event_action": event_action,
            "metadata": dict(metadata or {}),
            "timestamp": timestamp.isoformat() if timestamp else int(time.time() * 1000),
        }
        text = json.dumps(
            event, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
        with self._changed:
            if self._end is not None or self._bytes + len(text) > self.max_bytes:
                return False
            self._queue.append(text)
            self._bytes += len(text)
            self._captured += 1
            self._start()
            self._changed.notify_all()
        return True

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was captured before is settled, delivered or dropped; False when that
        takes longer than `timeout` seconds.
        """
        with self._changed:
            wanted = self._wanted = self._captured
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._settled >= wanted, timeout)

    def close(self, timeout: float | None = None) -> None:
        """Send what waits, for `timeout` seconds at most (`exit_seconds` when absent), then take no
        more; what is left is dropped, and reported.
        """
        with self._changed:
            self._end = time.monotonic() + (self.exit_seconds if timeout is None else timeout)
            thread, left = self._thread, bool(self._queue)
            self._changed.notify_all()
        if thread is not None:
            thread.join(max(self._end - time.monotonic(), 0))
        elif left:
            self._run()  # no thread can be started any more
        with self._changed:
            late = [json.loads(text) for text in self._queue]
            self._queue.clear()
        if late:
            self.on_drop(late, "not delivered when the client was closed")

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="analytics", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending: `close` sends
                return
            self._thread = thread

    def _run(self) -> None:
        """Batch by batch, in order; one leaves the queue when it is settled."""
        while batch := self._next():
            delay = self._send(batch)
            with self._changed:
                if delay is None:
                    self._failures = 0
                    for text in batch:
                        if self._queue:  # `close` may have given them up
                            self._queue.popleft()
                            self._bytes -= len(text)
                    self._settled += len(batch)
                    self._changed.notify_all()
                elif delay:
                    ending = self._end is not None
                    self._changed.wait_for(lambda: not ending and self._end is not None, delay)  # noqa: B023 - called at once

    def _next(self) -> list[bytes]:
        """What to send next, once there is enough of it, or it has waited long enough; nothing when
        all is over.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._end is not None)
            self._changed.wait_for(
                lambda: (
                    len(self._queue) >= self._batch
                    or self._wanted > self._settled
                    or self._end is not None
                ),
                self.interval,
            )
            if self._end is not None and time.monotonic() >= self._end:
                return []
            batch: list[bytes] = []
            size = 0
            for text in self._queue:
                size += len(text)
                if len(batch) == self._batch or (batch and size > BATCH_BYTES):
                    break
                batch.append(text)
            return batch

    def _send(self, batch: list[bytes]) -> float | None:
        """Try once. None when there is nothing more to do for these events, else how many seconds
        to wait before they are tried again.
        """
        body = b'{"sent_at":%d,"events":[%b]}' % (time.time() * 1000, b",".join(batch))
        request = urllib.request.Request(
            self.url, gzip.compress(body, 6), self.headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                status, reply, wait = answer.status, answer.read(), None
        except urllib.error.HTTPError as error:
            with error:
                status, reply, wait = error.code, _read(error), error.headers.get("retry-after")
        except (OSError, http.client.HTTPException) as error:
            return self._backoff(None, repr(error))
        if status in (408, 429) or status >= 500:
            return self._backoff(wait, f"status {status}")
        if status == 413 and len(batch) > 1:
            self._batch = len(batch) // 2
            return 0.0
        self._batch = BATCH_EVENTS
        self._report(batch, status, reply)
        return None

    def _backoff(self, asked: str | None, reason: str) -> float:
        """Twice as long each time, up to a minute, give or take half, and never less than the
        collector asks for.
        """
        own = min(2.0**self._failures, MAX_BACKOFF) * random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
        self._failures = min(self._failures + 1, 10)
        log.warning("events are kept and tried again: %s", reason)
        return max(own, float(asked)) if asked and asked.isdecimal() else own

    def _report(self, batch: list[bytes], status: int, reply: bytes) -> None:
        """Tell of events that the collector will never take."""
        try:
            answer = json.loads(reply)
        except ValueError:
            answer = {}
        answer = answer if isinstance(answer, dict) else {}
        verdicts = answer.get("rejected") or []
        try:
            for verdict in verdicts:
                self.on_drop(
                    [json.loads(batch[verdict["index"]])],
                    f"{verdict['code']}: {verdict['message']}",
                )
            if status >= 300 and not verdicts:
                self.on_drop(
                    [json.loads(text) for text in batch],
                    f"status {status}: {answer.get('error') or 'no reason given'}",
                )
        except Exception:
            log.exception("on_drop failed")


def _read(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (OSError, http.client.HTTPException):
        return b""


def _uuid7() -> UUID:
    """Ids that begin with the time are stored faster (RFC 9562)."""
    random_bits = secrets.randbits(74)
    return UUID(
        int=int(time.time() * 1000) << 80
        | 7 << 76
        | (random_bits >> 62) << 64
        | 2 << 62
        | random_bits & (1 << 62) - 1
    )


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _forked() -> None:
    for client in list(_clients):
        client._reset()


@atexit.register
def _exit() -> None:
    for client in list(_clients):
        client.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
