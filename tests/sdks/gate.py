"""Stands between a library and the collector: hands requests on, counts, and knows three ways to
try a library's patience.
"""

import http.client
import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from starlette.routing import compile_path

from analytics.protocols import PROTOCOLS

EVENTS_GO = [
    compile_path(path)[0] for path in {path for protocol in PROTOCOLS for path in protocol.routes}
]
"""Where events are sent; libraries ask other things too, and those do not count."""

REFUSAL = b'{"success":false,"status":0,"code":503,"error":"forgotten","message":"forgotten"}'
SPOILED = b"\xff{"
HOP = ("connection", "keep-alive", "transfer-encoding", "te", "upgrade", "date", "server")


class Gate:
    """A door to the collector at `port` for one library.

    In an outage its requests go to the collector at `closed`, which refuses all events, for so many
    seconds from its first refusal on. The answers to its first `forgotten` requests with events are
    lost: it hears 503 in their place. When `spoiled`, events arrive so that nobody can read them:
    it hears what the collector says of that.
    """

    def __init__(
        self,
        port: int,
        *,
        closed: int | None = None,
        seconds: float = 0.0,
        forgotten: int = 0,
        spoiled: bool = False,
    ) -> None:
        self.port = port
        self.closed = closed
        self.seconds = seconds
        self.opens: float | None = None
        self.forgotten = forgotten
        self.spoiled = spoiled
        self.last: float | None = None
        self.heard: list[int] = []
        """What the library heard of its events, in order."""
        self.left = 0
        """Answers that the library did not wait for."""
        self.sent: list[bytes] = []
        """The bodies in which it sent them, in order."""
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = (
                    self.rfile.read(int(self.headers.get("content-length") or 0))
                    if "chunked" not in self.headers.get("transfer-encoding", "")
                    else self.chunks()
                )
                status, headers, reply = gate.forward(
                    self.command, self.path, body, dict(self.headers.items())
                )
                with gate.lock:
                    gate.left += _left(self.connection)
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            do_GET = do_POST = do_OPTIONS = answer

            def chunks(self) -> bytes:
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def silence(self) -> float:
        """Seconds since events last came; 0 before they ever did."""
        with self.lock:
            return time.monotonic() - self.last if self.last is not None else 0.0

    def behind(self) -> int:
        """The port where requests go now."""
        with self.lock:
            return (
                self.closed
                if self.closed and (self.opens is None or time.monotonic() < self.opens)
                else self.port
            )

    def forward(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        events = method != "OPTIONS" and any(
            known.match(path.partition("?")[0]) for known in EVENTS_GO
        )
        if events and self.spoiled:
            path, body = path.partition("?")[0], SPOILED
        connection = http.client.HTTPConnection("127.0.0.1", self.behind(), timeout=30)
        try:
            given = {
                name: value
                for name, value in headers.items()
                if name.lower() not in (*HOP, "host", "content-length")
            }
            connection.request(
                method, path, body or None, {**given, "Content-Length": str(len(body))}
            )
            answer = connection.getresponse()
            reply = answer.read()
        finally:
            connection.close()
        kept = [
            (name, value)
            for name, value in answer.getheaders()
            if name.lower() not in (*HOP, "content-length")
        ]
        if not events:
            return answer.status, kept, reply
        with self.lock:
            if self.opens is None and answer.status == 503:
                self.opens = time.monotonic() + self.seconds
            lost = self.forgotten > 0 and answer.status < 300
            self.forgotten -= lost
            self.heard.append(503 if lost else answer.status)
            self.sent.append(body)
            self.last = time.monotonic()
        if not lost:
            return answer.status, kept, reply
        readable = [
            (name, value) for name, value in kept if name.lower().startswith("access-control-")
        ]
        return 503, [*readable, ("Retry-After", "1"), ("Content-Type", "application/json")], REFUSAL

    def __enter__(self) -> "Gate":
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()


def _left(connection: socket.socket) -> bool:
    """Whether the other side has closed a connection on which it said nothing more."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and not connection.recv(1, socket.MSG_PEEK)
