"""`analytics run`: the chosen roles in this process, in development with embedded servers."""

import contextlib
import importlib
import signal
from collections.abc import Iterator, Mapping, Sequence

import click
import msgspec

from analytics import __version__, embedded, logs, server
from analytics.commands import address
from analytics.errors import ConfigurationError
from analytics.settings import NEEDS, ROLES, Settings, check, load
from analytics.terminal import say

SERVERS = ("REDIS_URL", "DATABASE_URL")

ADDRESSES = {
    "collector": "http://{}/collect",
    "api": "http://{}/api",
    "realtime": "ws://{}/realtime",
    "processor": "http://{}/health",
}

SEND = (
    """curl --json '{{"session_id": "s1", "user_id": "ada", """
    """"event_type": "engagement", "event_action": "click"}}' http://{}/collect"""
)
ASK = "curl -H 'X-API-Key: {}' 'http://{}/api/trends?last=1h&interval=minute'"


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
    use_embedded = not (settings.production or settings.redis_url or settings.database_url)
    if use_embedded:
        embedded.refuse_second(settings.data_dir)
    with (
        contextlib.suppress(KeyboardInterrupt),
        _every_signal_interrupts(),
        contextlib.ExitStack() as stack,
    ):
        # take the ports first: a port in use must fail before servers start and tables migrate
        listeners = {
            role: stack.enter_context(server.bind(role, settings, settings.port_of(role, chosen)))
            for role in chosen
        }
        key = None
        if use_embedded:
            settings, key = stack.enter_context(_embedded_servers(settings))
        _require_servers(settings, chosen)
        logs.setup(settings)
        # some C modules swallow an interrupt while they are imported, or fail because of it
        with embedded.uninterrupted():
            modules = {role: importlib.import_module(f"analytics.roles.{role}") for role in chosen}
            apps = {role: module.ROLE.app(settings) for role, module in modules.items()}
        places = {role: address.local(*listeners[role].getsockname()[:2]) for role in chosen}
        ready = None if settings.production else lambda: _show(settings, places, key)
        server.run(server.serve(apps, listeners, settings, ready=ready))


@contextlib.contextmanager
def _embedded_servers(settings: Settings) -> Iterator[tuple[Settings, str]]:
    """The settings with the embedded servers, migrated, and an API key that may read everything.

    The data and the key stay in DATA_DIR for the next run.
    """
    with embedded.servers(settings.data_dir, lambda line: say(f"{line} …")) as servers:
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
        yield settings, key


def _require_servers(settings: Settings, roles: Sequence[str]) -> None:
    """Raises ConfigurationError when a role lacks a server's URL.

    `settings.check` asks for it in production only.
    """
    for role in roles:
        for name in SERVERS:
            if name in NEEDS[role] and not getattr(settings, name.lower()):
                given = " and ".join(other for other in SERVERS if getattr(settings, other.lower()))
                raise ConfigurationError(
                    f"{name} is not set, and the {role} needs it; with {given} unset too, "
                    "analytics starts its own servers",
                    field=name,
                )


def _show(settings: Settings, places: Mapping[str, str], key: str | None) -> None:
    """Print what a developer needs: addresses, the API key, commands to try, how to stop."""
    lines = [f"analytics {__version__} runs; Ctrl-C ends it", ""]
    lines += [f"  {role:10} {ADDRESSES[role].format(place)}" for role, place in places.items()]
    if key:
        lines += [f"  {'key':10} {key}", f"  {'data':10} {settings.data_dir}"]
    if "collector" in places:
        lines += ["", "send an event:", f"  {SEND.format(places['collector'])}"]
    if "api" in places:
        lines += ["", "ask for it:", f"  {ASK.format(key or 'KEY', places['api'])}"]
    say(*lines, "")


@contextlib.contextmanager
def _every_signal_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP act like Ctrl-C: the stack unwinds and stops the embedded servers.

    Afterwards nothing is left to interrupt: a signal does not spoil the exit status.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
