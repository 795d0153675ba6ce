"""A real Chromium, headless, driven over the DevTools protocol."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.waiting import wait_for

PROGRAM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/150.0.0.0 Safari/537.36"
)
"""A reader's, for a headless browser's own is a bot's."""

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-blink-features=AutomationControlled",  # libraries do not count machines
)

needs_browser = pytest.mark.skipif(
    PROGRAM is None,
    reason="there is no Chromium; as root: apt-get install chromium, or name one by CHROMIUM",
)

NAVIGATED = "Inspected target navigated or closed"


class Navigated(Exception):
    """The page gave way to another before it answered."""


class Browser:
    """One Chromium with a profile of its own; each page is a visitor who has never been here."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.calls = 0

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """One command of the protocol and its result; what happens meanwhile is not listened to.

        Raises Navigated.
        """
        self.calls += 1
        self.socket.send(
            json.dumps(
                {"id": self.calls, "method": method, "params": params}
                | ({"sessionId": session} if session else {})
            )
        )
        while (message := json.loads(self.socket.recv(90))).get("id") != self.calls:
            pass
        if "error" in message:
            if message["error"]["message"] == NAVIGATED:
                raise Navigated(method)
            raise AssertionError(f"{method}: {message['error']}")
        return message["result"]

    def page(self, url: str) -> "Page":
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)[
            "targetId"
        ]
        page = Page(
            self,
            target,
            self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"],
        )
        page.call("Page.enable")
        page.go(url)
        return page


class Page:
    """A tab."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self.browser = browser
        self.target = target
        self.session = session

    def call(self, method: str, **params: Any) -> Any:
        return self.browser.call(method, self.session, **params)

    def go(self, url: str) -> None:
        """Load another page in this tab and wait until it is complete."""
        failed = self.call("Page.navigate", url=url).get("errorText")
        assert not failed, f"{url}: {failed}"
        wait_for(lambda: self.ask("document.readyState") == "complete", url)

    def run(self, expression: str) -> Any:
        """The value of an expression; a promise's when it has one."""
        done = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def ask(self, expression: str) -> Any:
        """The value of an expression that changes nothing; None while the page is being left."""
        try:
            return self.run(expression)
        except Navigated:
            return None

    def click(self, selector: str, button: str = "left") -> None:
        """As a hand does it: in the middle of an element."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.run(f"(({{ x, y, width, height }}) => [x + width / 2, y + height / 2])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1)

    def close(self) -> None:
        self.browser.call("Target.closeTarget", targetId=self.target)


@contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """A browser that ends with the block."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(
        prefix="analytics-chromium-", ignore_cleanup_errors=True
    ) as profile:
        command = [
            PROGRAM,
            *OPTIONS,
            *options,
            f"--user-agent={AGENT}",
            f"--user-data-dir={profile}",
            "--remote-debugging-port=0",
            "about:blank",
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            address = Path(profile) / "DevToolsActivePort"
            port, path = wait_for(
                lambda: (
                    address.exists() and len(lines := address.read_text().split()) == 2 and lines
                ),
                "Chromium to start",
            )
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None) as socket:
                yield Browser(socket)
        finally:
            process.kill()
            process.wait()


@contextmanager
def site(pages: Mapping[str, tuple[Any, ...]]) -> Iterator[str]:
    """A web site of a few pages, each a media type, its bytes and perhaps more headers, and the URL
    of its root; every other path is its 404.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media_type, body, *more = pages.get(self.path.partition("?")[0], ("text/plain", b""))
            self.send_response(200 if body else 404)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            for name, value in more[0].items() if more else ():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
