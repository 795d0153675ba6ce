"""`analytics run`: the chosen roles in this process; in development with servers of their own
unless told which to use.
"""

import contextlib
import importlib
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence

import click
import msgspec

from analytics import __version__, embedded, logs, server
from analytics.errors import ConfigurationError
from analytics.settings import NEEDS, ROLES, Settings, check, load

SERVERS = ("REDIS_URL", "DATABASE_URL")

ADDRESSES = {
    "collector": "http://{}/collect",
    "api": "http://{}/api",
    "realtime": "ws://{}/realtime",
    "processor": "http://{}/health",
}

SEND = """curl --json '{{"session_id": "s1", "user_id": "ada", "event_type": "engagement", "event_action": "click"}}' http://{}/collect"""
ASK = """curl -H 'X-API-Key: {}' 'http://{}/api/trends?last=1h&interval=minute'"""


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
    settings = load()
    check(settings, chosen)
    own = not (settings.production or settings.redis_url or settings.database_url)
    if own:
        embedded.refuse_second(settings.data_dir)
    with (
        contextlib.suppress(KeyboardInterrupt),
        _every_signal_interrupts(),
        contextlib.ExitStack() as stack,
    ):
        listeners = {
            role: stack.enter_context(server.bind(role, settings, settings.port_of(role, chosen)))
            for role in chosen
        }
        key = None
        if own:
            settings, key = stack.enter_context(_own_servers(settings))
        _complete(settings, chosen)
        logs.setup(settings)
        # modules in C swallow an interruption while they are read, or take it for a failure of
        # their own
        with embedded.uninterrupted():
            modules = {role: importlib.import_module(f"analytics.roles.{role}") for role in chosen}
            apps = {role: module.ROLE.app(settings) for role, module in modules.items()}
        addresses = {role: _address(listeners[role]) for role in chosen}
        server.run(
            server.serve(
                apps,
                listeners,
                settings,
                ready=None if settings.production else lambda: _show(settings, addresses, key),
            )
        )


@contextlib.contextmanager
def _own_servers(settings: Settings) -> Iterator[tuple[Settings, str]]:
    """The embedded servers, migrated, and a key that may read everything; both are kept from run to
    run.
    """
    with embedded.servers(settings.data_dir, lambda line: click.echo(f"{line} …")) as found:
        key = embedded.kept_secret(settings.data_dir / "key", "ak_r_")
        settings = msgspec.structs.replace(
            settings,
            redis_url=found.redis_url,
            database_url=found.database_url,
            api_keys=(*settings.api_keys, key),
        )
        with embedded.uninterrupted():
            from analytics.stores.schema import migrate

        migrate(found.database_url, settings)
        yield settings, key


def _complete(settings: Settings, roles: Sequence[str]) -> None:
    """In development, where API_KEYS may be missing, a server may not."""
    for role in roles:
        for name in SERVERS:
            if name in NEEDS[role] and not getattr(settings, name.lower()):
                given = " and ".join(other for other in SERVERS if getattr(settings, other.lower()))
                raise ConfigurationError(
                    f"{name} is not set, and the {role} needs it; with {given} unset too, "
                    "analytics starts its own servers",
                    field=name,
                )


def _address(listener: socket.socket) -> str:
    """As a URL spells it; what listens everywhere is shown where this machine finds it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _show(settings: Settings, addresses: Mapping[str, str], key: str | None) -> None:
    """The screen that whoever starts it by hand needs: where it is, the key, what to try, how to
    end it.
    """
    lines = [f"analytics {__version__} runs; Ctrl-C ends it", ""]
    lines += [
        f"  {role:10} {ADDRESSES[role].format(address)}" for role, address in addresses.items()
    ]
    if key:
        lines += [f"  {'key':10} {key}", f"  {'data':10} {settings.data_dir}"]
    if "collector" in addresses:
        lines += ["", "send an event:", f"  {SEND.format(addresses['collector'])}"]
    if "api" in addresses:
        lines += ["", "ask for it:", f"  {ASK.format(key or 'KEY', addresses['api'])}"]
    click.echo("\n".join([*lines, ""]))


@contextlib.contextmanager
def _every_signal_interrupts() -> Iterator[None]:
    """SIGTERM and a hang-up unwind the stack as Ctrl-C does, so that the embedded servers are
    stopped whenever we are.
    """
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
