"""A stand-in for a role that answers every request with what it was told of it: for what nginx
says, not for what a role does.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import PATIENCE_SECONDS


class Recorder:
    """Answers each GET with its headers and a number that grows with every request."""

    def __init__(self) -> None:
        recorder = self
        self.requests = 0
        self.status = 200
        self.headers: dict[str, str] = {}
        """What it adds to its answers."""
        self.gate: threading.Event | None = None
        """If there is one, answers wait until it opens."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                recorder.requests += 1
                body = json.dumps(
                    {"number": recorder.requests, "headers": dict(self.headers), "path": self.path}
                ).encode()
                if recorder.gate is not None:
                    recorder.gate.wait(PATIENCE_SECONDS)
                self.send_response(recorder.status)
                for name, value in recorder.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self) -> "Recorder":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop answering; may be called again."""
        if self.server.fileno() >= 0:
            self.server.shutdown()
            self.server.server_close()
