"""How the roles of one process start, stop and fail together.

Run as a program, this file serves two small apps.
"""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from analytics import served_app, server, settings
from analytics.embedded import free_port
from analytics.errors import CommandError, Unavailable
from analytics.settings import Settings
from tests.waiting import PATIENCE_SECONDS, until, wait_for

ROLES = ("collector", "api")
LONG_SECONDS = 600
"""Longer than any test waits."""

SLEEP_LONG = f"GET /sleep?s={LONG_SECONDS} HTTP/1.1\r\nhost: x\r\n\r\n"


async def _hello(request: Request) -> Response:
    return PlainTextResponse(str(request.app.state.ready))


async def _body(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _sleep(request: Request) -> Response:
    print("asleep", flush=True)
    await asyncio.sleep(float(request.query_params["s"]))
    return PlainTextResponse("slept")


STARTED = dict.fromkeys(ROLES, False)
"""Whether the app of each role has started, in the program."""


FAILURE: "Future[None]" = Future()
"""What is lost outside the apps, in the program."""


async def _lose(_: Request) -> Response:
    FAILURE.set_exception(Unavailable("a server is lost"))
    return PlainTextResponse("lost")


async def _stream(_: Request) -> Response:
    async def ticks() -> AsyncIterator[str]:
        for tick in range(5):
            yield str(tick)
            await asyncio.sleep(0.4)

    return StreamingResponse(ticks())


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


def _app(role: str) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if os.environ.get("FAIL") == role:
            await until(lambda: all(STARTED[other] for other in ROLES if other != role))
            raise Unavailable("the moon is down")
        if os.environ.get("HANG") == role:
            print("starting", flush=True)
            await asyncio.sleep(LONG_SECONDS)
        app.state.ready = STARTED[role] = True
        yield
        if hold := os.environ.get("HOLD"):
            print("flushing", flush=True)
            await until(Path(hold).exists)
        print(f"{role} flushed", flush=True)

    routes = [
        Route("/", _hello),
        Route("/sleep", _sleep),
        Route("/lose", _lose),
        Route("/stream", _stream),
        Route("/body", _body, methods=["POST"]),
        WebSocketRoute("/echo", _echo),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _program() -> None:
    config = settings.load()
    served_app.READ_SECONDS = {"collector": 1}
    # what is to end sooner must not wait for these
    served_app.STOP_SECONDS = served_app.DRAIN_SECONDS = LONG_SECONDS
    config_of = served_app._config

    def config_with_rare_pings(role: str, settings: Settings) -> Config:
        config = config_of(role, settings)
        config.websocket_ping_interval = LONG_SECONDS
        return config

    served_app._config = config_with_rare_pings
    listeners = {role: server.bind(role, config, config.port_of(role, ROLES)) for role in ROLES}
    try:
        server.run(
            server.serve(
                {role: _app(role) for role in ROLES},
                listeners,
                config,
                ready=lambda: print("ready", flush=True),
                failure=FAILURE,
            )
        )
    except Unavailable as error:
        sys.exit(error.message)


class Served:
    """The program above as a process, and the ports of its two apps."""

    def __init__(self, **environment: str) -> None:
        self.ports = {role: free_port() for role in ROLES}
        variables = {f"{role.upper()}_PORT": str(port) for role, port in self.ports.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.test_server"],
            env={**os.environ, **variables, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> bool:
        return self.says("ready")

    def asleep(self) -> bool:
        """Waits until a request for /sleep is being answered."""
        return self.says("asleep")

    def says(self, line: str) -> bool:
        """Whether this is the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline() == f"{line}\n"

    def closed(self, role: str) -> bool:
        """Whether nobody listens any more."""
        try:
            self.connection(role).close()
        except ConnectionRefusedError:
            return True
        return False

    def connection(self, role: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[role]), timeout=PATIENCE_SECONDS)

    def get(self, role: str, path: str = "/") -> str:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.ports[role]}{path}", timeout=PATIENCE_SECONDS
        ) as answer:
            body: str = answer.read().decode()
            return body

    def request(self, role: str, text: str) -> socket.socket:
        connection = self.connection(role)
        connection.sendall(text.encode())
        return connection

    def end(self, sig: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit status and both outputs after one signal."""
        self.process.send_signal(sig)
        return self.ended()

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out, err


def heard(pid: int, sig: signal.Signals) -> bool:
    """Whether a signal has reached the process."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return not any(int(mask, 16) >> (sig - 1) & 1 for mask in masks)


@contextmanager
def served(**environment: str) -> Iterator[Served]:
    program = Served(**environment)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.communicate()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_stops_all_apps_and_lets_each_flush(sig: signal.Signals) -> None:
    with served() as program:
        assert program.ready()
        assert [program.get(role) for role in ROLES] == ["True", "True"]
        status, out, err = program.end(sig)
    assert (status, err) == (0, "")
    assert sorted(out.split("\n")) == ["", "api flushed", "collector flushed"]


def test_what_fails_elsewhere_ends_all_apps_and_each_flushes() -> None:
    with served() as program:
        assert program.ready()
        program.request("api", "GET /lose HTTP/1.1\r\nhost: x\r\n\r\n").close()
        status, out, err = program.ended()
        assert (status, err) == (1, "a server is lost\n")
    assert sorted(out.split("\n")) == ["", "api flushed", "collector flushed"]


async def test_an_open_websocket_is_told_to_come_again_and_blocks_nothing() -> None:
    with served() as program:
        assert program.ready()
        async with connect(f"ws://127.0.0.1:{program.ports['api']}/echo") as websocket:
            await websocket.send("a")
            assert await websocket.recv() == "a"
            end = asyncio.create_task(asyncio.to_thread(program.end))
            with pytest.raises(ConnectionClosed) as closed:
                await websocket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert (await end)[0] == 0


def test_a_request_that_is_open_is_answered_before_the_end() -> None:
    with served() as program:
        assert program.ready()
        with program.request("collector", "GET /sleep?s=1 HTTP/1.1\r\nhost: x\r\n\r\n") as request:
            assert program.asleep()
            assert program.end()[0] == 0
            assert request.recv(1000).endswith(b"slept")


def test_a_second_signal_cuts_the_wait_but_not_the_flush() -> None:
    with served() as program:
        assert program.ready()
        with program.request("collector", SLEEP_LONG):
            assert program.asleep()
            program.process.send_signal(signal.SIGINT)
            wait_for(lambda: program.closed("collector"), "the collector to close")
            status, out, _ = program.end(signal.SIGINT)
        assert (status, "collector flushed" in out) == (0, True)


@pytest.mark.parametrize("again", [1, 2])
def test_no_signal_cuts_the_flush(again: int, tmp_path: Path) -> None:
    with served(HOLD=str(tmp_path / "hold")) as program:
        assert program.ready()
        program.process.send_signal(signal.SIGINT)
        assert all(program.says("flushing") for _ in ROLES)
        for sig in (signal.SIGTERM, signal.SIGHUP)[:again]:
            program.process.send_signal(sig)
            wait_for(partial(heard, program.process.pid, sig), "it to be heard")
        (tmp_path / "hold").touch()
        status, out, err = program.ended()
    assert (status, err) == (0, "")
    assert sorted(out.split("\n")) == ["", "api flushed", "collector flushed"]


def test_two_signals_end_what_does_not_start() -> None:
    with served(HANG="api") as program:
        assert program.says("starting")
        program.process.send_signal(signal.SIGINT)
        status, out, err = program.end(signal.SIGTERM)
    assert (status, out, err) == (0, "collector flushed\n", "")


async def test_signals_go_where_they_went_before_once_all_has_ended() -> None:
    heard, ready = [], asyncio.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("afterwards"))
    try:
        serving = asyncio.create_task(
            server.serve(
                {"api": _app("api")},
                {"api": server.bind("api", Settings(), 0)},
                Settings(),
                ready=ready.set,
                signalled=lambda: heard.append("meanwhile"),
            )
        )
        await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(serving, PATIENCE_SECONDS)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == ["meanwhile", "afterwards"]


def test_before_it_closes_it_serves_on_and_says_that_it_is_not_ready() -> None:
    with served(SHUTDOWN_DELAY="20") as program:
        assert program.ready()
        program.process.send_signal(signal.SIGTERM)
        wait_for(lambda: program.get("api") == "False", "the api to be unready")
        assert program.end()[0] == 0


def test_after_the_delay_it_closes_by_itself() -> None:
    with served(SHUTDOWN_DELAY="1") as program:
        assert program.ready()
        assert program.end()[0] == 0


def test_an_app_that_cannot_start_ends_all_with_its_own_error() -> None:
    with served(FAIL="api") as program:
        status, out, err = program.ended()
    assert (status, out, err) == (1, "collector flushed\n", "the moon is down\n")


def test_a_body_that_stops_coming_is_cut_off_at_the_collector() -> None:
    with served() as program:
        assert program.ready()
        with program.request(
            "collector", "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc"
        ) as request:
            while request.recv(1000):  # times out if the connection is left open
                pass


def test_a_silent_client_that_listens_to_a_long_answer_is_kept() -> None:
    with served() as program:
        assert program.ready()
        assert program.get("api", "/stream") == "01234"


def test_a_port_in_use_is_named_with_its_role_and_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            CommandError, match=rf"the api cannot listen on 127\.0\.0\.1:{port}: .* set API_PORT"
        ):
            server.bind("api", settings.load({"API_PORT": str(port)}), port)
        with pytest.raises(CommandError, match="set PORT"):
            server.bind("api", settings.load({"PORT": str(port)}), port)


if __name__ == "__main__":
    _program()
