"""`analytics run`: the chosen roles in this process, in development with embedded servers."""

import contextlib
import importlib
import logging
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from types import FrameType
from typing import NamedTuple

import click
import msgspec

from analytics import __version__, embedded, logs, server, tasks
from analytics.commands import address, configured
from analytics.settings import ROLES, Settings, data_folder
from analytics.terminal import say

log = logging.getLogger(__name__)

ADDRESSES = {
    "collector": "http://{}/collect",
    "api": "http://{}/api",
    "realtime": "ws://{}/realtime",
    "processor": "http://{}/health",
}

SEND = (
    """curl {}-H 'Content-Type: application/json' -d '{{"session_id": "s1", "user_id": "ada", """
    """"event_type": "engagement", "event_action": "click"}}' http://{}/collect"""
)
WRITE_KEY = "-H 'X-Write-Key: {}' "
ASK = "curl -H 'X-API-Key: {}' 'http://{}/api/trends?last=1h&interval=minute'"


class Keys(NamedTuple):
    """What a developer needs to try a platform with servers of its own."""

    read: str
    """May read everything."""
    write: str | None
    """May send events to the project default; None where no key is needed."""


@click.command()
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="Role to run; repeatable. Without it, all four.",
)
def run(roles: Sequence[str]) -> None:
    """Start the platform, or some of its roles, until Ctrl-C or SIGTERM.

    Outside production, with neither REDIS_URL nor DATABASE_URL set, it starts its own PostgreSQL
    and Valkey and keeps their data in DATA_DIR.
    """
    chosen = [role for role in ROLES if role in roles] or list(ROLES)
    settings = _without_port(configured(chosen), chosen)
    if settings.embedded:
        embedded.refuse_second(settings.data_dir)
    with (
        contextlib.suppress(KeyboardInterrupt),
        _every_signal_interrupts() as interrupts,
        contextlib.ExitStack() as stack,
    ):
        # take the ports first: a port in use must fail before servers start and tables migrate
        listeners = {
            role: stack.enter_context(server.bind(role, settings, settings.port_of(role, chosen)))
            for role in chosen
        }
        places = {role: address.local(*listeners[role].getsockname()[:2]) for role in chosen}
        failure: Future[None] = Future()
        keys = None
        if settings.embedded:
            settings, keys = stack.enter_context(_embedded_servers(settings, places, failure))
        logs.setup(settings)
        # some C modules swallow an interrupt while they are imported, or fail because of it
        with embedded.uninterrupted():
            modules = {role: importlib.import_module(f"analytics.roles.{role}") for role in chosen}
            apps = {role: module.ROLE.app(settings) for role, module in modules.items()}
        ready = None if settings.production else lambda: _show(settings, places, keys)
        server.run(
            server.serve(
                apps,
                listeners,
                settings,
                ready=ready,
                failure=failure,
                signalled=interrupts.enough,
            )
        )


def _without_port(settings: Settings, roles: Sequence[str]) -> Settings:
    """The settings, without a PORT that does not count; a warning says so."""
    if settings.port is None or len(roles) == 1:
        return settings
    names = ", ".join(f"{role.upper()}_PORT" for role in roles)
    log.warning(
        "PORT is %d, but counts only when exactly one role runs; set %s", settings.port, names
    )
    return msgspec.structs.replace(settings, port=None)


@contextlib.contextmanager
def _embedded_servers(
    settings: Settings, places: Mapping[str, str], failure: "Future[None]"
) -> Iterator[tuple[Settings, Keys]]:
    """The settings with the embedded servers, migrated, and keys to try them with.

    The data and the keys stay in DATA_DIR for the next run. `places` are recorded for the other
    commands; `failure` gets the error when a server cannot be kept running.
    """
    with embedded.servers(
        settings.data_dir,
        lambda line: say(f"{line} …"),
        roles=places,
        failure=failure,
        base=data_folder(),
    ) as servers:
        key = embedded.kept_secret(settings.data_dir / "key", "ak_r_")
        settings = msgspec.structs.replace(
            settings,
            redis_url=servers.redis_url,
            database_url=servers.database_url,
            api_keys=(*settings.api_keys, key),
        )
        with embedded.uninterrupted():
            from analytics.stores.schema import migrate

        migrate(servers.database_url, settings)
        yield settings, Keys(key, _write_key(settings) if settings.require_write_key else None)


def _write_key(settings: Settings) -> str:
    """A key that may send events to the project default, kept in DATA_DIR like the other."""
    with embedded.uninterrupted():
        from analytics.commands.keys import make_known

    key = embedded.kept_secret(settings.data_dir / "write_key", "ak_w_")
    tasks.run(make_known(settings, key))
    return key


def _show(settings: Settings, places: Mapping[str, str], keys: Keys | None) -> None:
    """Print what a developer needs: addresses, the API key, commands to try, how to stop."""
    lines = [f"analytics {__version__} runs; Ctrl-C ends it", ""]
    lines += [f"  {role:10} {ADDRESSES[role].format(place)}" for role, place in places.items()]
    if keys:
        lines += [f"  {'key':10} {keys.read}", f"  {'data':10} {settings.data_dir}"]
    if "collector" in places:
        write = WRITE_KEY.format((keys and keys.write) or "WRITE_KEY")
        command = SEND.format(write if settings.require_write_key else "", places["collector"])
        lines += ["", "send an event:", f"  {command}"]
    if "api" in places:
        lines += ["", "ask for it:", f"  {ASK.format(keys.read if keys else 'KEY', places['api'])}"]
    say(*lines, "")


class _Interrupts:
    """A handler of signals: the first one interrupts, and those that follow disturb no end."""

    def __init__(self) -> None:
        self._over = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self._over:
            self._over = True
            raise KeyboardInterrupt

    def enough(self) -> None:
        """A signal was heard elsewhere, and the end has begun."""
        self._over = True


@contextlib.contextmanager
def _every_signal_interrupts() -> Iterator[_Interrupts]:
    """SIGTERM and SIGHUP act like Ctrl-C: the stack unwinds and stops the embedded servers.

    What our parent has us ignore, as nohup does, stays ignored. Afterwards the process ends, and no
    signal spoils its exit status.
    """
    interrupts = _Interrupts()
    for number in tasks.heard():
        signal.signal(number, interrupts)
    try:
        yield interrupts
    finally:
        for number in tasks.ENDING:
            signal.signal(number, signal.SIG_IGN)
