"""A client for Python services: queues events in memory, sends them from a thread.

Events are retried under the same ids until the collector has accepted them. This file needs only
the standard library and imports nothing else of this package: copy it where you like.
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
MAX_BACKOFF_S = 60.0
NO_SESSION = "$none"
"""The session_id sent when only a user is named; queries then derive the sessions."""
NO_ACTOR = "$nobody"
"""The session_id sent when neither a session nor a user is named."""

Event = dict[str, Any]
OnDrop = Callable[[list[Event], str], None]
"""Gets the events that will never arrive, and why. It runs in the sending thread."""


def report(events: list[Event], reason: str) -> None:
    """Log how many events were dropped: what a client does without an `on_drop` of its own."""
    log.error("%d events were dropped: %s", len(events), reason)


class Client:
    """Sends events to the collector at `url`.

    Any thread may use it. A forked process may use it too: it starts with an empty queue.

    write_key     API key with the scope `ingest`; without one, events go to the default project
    interval      seconds that an event waits for others, so that they share a request
    max_bytes     bytes of events held in memory; above, `capture` returns False and never blocks
    timeout       seconds that one request may take
    exit_seconds  seconds that the end of the program may wait for events to be sent
    on_drop       called with events that will never arrive
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
        """Start empty: a new client, or a forked process, whose parent sends its own events."""
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._captured = 0  # events ever queued
        self._done = 0  # of these, the delivered and the dropped
        self._flush_up_to = 0  # send without waiting until this many are done
        self._batch_events = BATCH_EVENTS
        self._failures = 0
        self._thread: threading.Thread | None = None
        self._end: float | None = None  # when closed: the monotonic time to give up at

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
        """Queue one event; False when the queue is full or the client is closed.

        Raises TypeError or ValueError for metadata that JSON cannot express, and for a timestamp
        without a time zone.
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
        text = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        encoded = text.encode()
        with self._changed:
            if self._end is not None or self._bytes + len(encoded) > self.max_bytes:
                return False
            self._queue.append(encoded)
            self._bytes += len(encoded)
            self._captured += 1
            self._start()
            self._changed.notify_all()
        return True

    def flush(self, timeout: float | None = None) -> bool:
        """Send now, and wait until every event captured so far is delivered or dropped.

        Returns False when that takes longer than `timeout` seconds.
        """
        with self._changed:
            goal = self._flush_up_to = self._captured
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._done >= goal, timeout)

    def close(self, timeout: float | None = None) -> None:
        """Accept no more events, and send what waits for `timeout` seconds (`exit_seconds`).

        Events that are left after that are dropped and given to `on_drop`.
        """
        with self._changed:
            self._end = time.monotonic() + (self.exit_seconds if timeout is None else timeout)
            thread, left = self._thread, bool(self._queue)
            self._changed.notify_all()
        if thread is not None:
            thread.join(max(self._end - time.monotonic(), 0))
        elif left:
            self._run()  # the interpreter is ending: no thread can be started any more
        with self._changed:
            unsent = [json.loads(text) for text in self._queue]
            self._queue.clear()
        if unsent:
            self.on_drop(unsent, "not delivered when the client was closed")

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
        """The sending thread: one batch after the other, in order."""
        while batch := self._next():
            finished, delay = self._send(batch)
            if finished:
                self._remove(batch[:finished])
            elif delay:
                self._pause(delay)

    def _remove(self, batch: list[bytes]) -> None:
        """Take a batch that is delivered or dropped off the queue."""
        with self._changed:
            self._failures = 0
            for text in batch:
                if self._queue:  # `close` may have dropped them meanwhile
                    self._queue.popleft()
                    self._bytes -= len(text)
            self._done += len(batch)
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        """Wait before a retry; `close` ends the wait, unless the client was closed before."""
        with self._changed:
            closed = self._end is not None
            self._changed.wait_for(lambda: not closed and self._end is not None, seconds)

    def _must_send(self) -> bool:
        """Whether to send without waiting for more events."""
        return (
            len(self._queue) >= self._batch_events
            or self._flush_up_to > self._done
            or self._end is not None
        )

    def _next(self) -> list[bytes]:
        """Wait for a batch that is full or due; empty when the client is closed and done."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._end is not None)
            self._changed.wait_for(self._must_send, self.interval)
            if self._end is not None and time.monotonic() >= self._end:
                return []
            batch: list[bytes] = []
            size = 0
            for text in self._queue:
                size += len(text)
                if len(batch) == self._batch_events or (batch and size > BATCH_BYTES):
                    break
                batch.append(text)
            return batch

    def _send(self, batch: list[bytes]) -> tuple[int, float]:
        """Send a batch once.

        Returns how many of its events are finished; if none, the seconds to wait before a retry.
        """
        body = b'{"sent_at":%d,"events":[%b]}' % (time.time() * 1000, b",".join(batch))
        compressed = gzip.compress(body, 6)
        # S310: `__init__` takes http and https only
        request = urllib.request.Request(self.url, compressed, self.headers, method="POST")  # noqa: S310
        retry_after = None
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                status, reply = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, reply = error.code, _read(error)
                retry_after = error.headers.get("retry-after")
        except (OSError, http.client.HTTPException) as error:
            return 0, self._backoff(None, repr(error))
        if status in (408, 429) or status >= 500:
            return 0, self._backoff(retry_after, f"status {status}")
        if status == 413 and len(batch) > 1:
            self._batch_events = len(batch) // 2
            return 0, 0.0
        self._batch_events = BATCH_EVENTS
        return self._report(batch, status, reply), 0.0

    def _backoff(self, retry_after: str | None, reason: str) -> float:
        """Seconds to wait: doubled each time up to a minute, ±50 %, at least `retry_after`."""
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
        seconds = min(2.0**self._failures, MAX_BACKOFF_S) * jitter
        self._failures = min(self._failures + 1, 10)
        log.warning("events are kept and tried again: %s", reason)
        if retry_after and retry_after.isdecimal():
            return max(seconds, float(retry_after))
        return seconds

    def _report(self, batch: list[bytes], status: int, reply: bytes) -> int:
        """Give `on_drop` the events that the collector rejected for good.

        Returns how many events the reply tells of: it names only so many of those it rejected.
        What comes after the last one named is to be sent again, and counts once by its ids.
        """
        try:
            answer = json.loads(reply)
        except ValueError:
            answer = {}
        answer = answer if isinstance(answer, dict) else {}
        rejections = answer.get("rejected") or []
        try:
            for rejection in rejections:
                event = json.loads(batch[rejection["index"]])
                self.on_drop([event], f"{rejection['code']}: {rejection['message']}")
            if status >= 300 and not rejections:
                reason = f"status {status}: {answer.get('error') or 'no reason given'}"
                self.on_drop([json.loads(text) for text in batch], reason)
        except Exception:
            log.exception("on_drop failed")
        more = answer.get("rejected_total", 0) > len(rejections) > 0
        return rejections[-1]["index"] + 1 if more else len(batch)


def _read(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (OSError, http.client.HTTPException):
        return b""


def _uuid7() -> UUID:
    """A UUID version 7 (RFC 9562): it begins with the time, so it is stored faster."""
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
