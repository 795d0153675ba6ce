"""`analytics doctor`: what is configured, reachable and durable, and how to mend what is not."""

from collections.abc import Iterator, Sequence

import click

from analytics import embedded, tasks
from analytics.commands import connected, losses, ports, postgres_server, redis_server
from analytics.commands.finding import BAD, GOOD, ODD, Finding
from analytics.logs import hide_secrets
from analytics.settings import NEEDS, ROLES, Settings
from analytics.terminal import say

COLORS = {ODD: "yellow", BAD: "red"}


@click.command()
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="Role that the settings here are for; repeatable. Without it, what only some roles need "
    "is remarked.",
)
def doctor(roles: Sequence[str]) -> None:
    """Check what is configured, reachable and durable. Exit status 1 if something is broken."""
    settings = connected()
    findings = tasks.run(_examine(settings, roles))
    for mark, subject, text in findings:
        say(f"{mark} {subject:12} {hide_secrets(text)}", fg=COLORS.get(mark))
    if any(finding.mark == BAD for finding in findings):
        click.get_current_context().exit(1)


async def _examine(settings: Settings, roles: Sequence[str]) -> list[Finding]:
    run = embedded.running(settings.data_dir)
    findings = [*_settings(settings, roles, run), *_policies(settings, roles)]
    if settings.redis_url:
        findings += [finding async for finding in redis_server.examine(settings)]
    if settings.database_url:
        findings += [finding async for finding in postgres_server.examine(settings)]
    if settings.redis_url and settings.database_url:
        findings += [finding async for finding in losses.examine(settings)]
    if settings.database_replica_url:
        findings += [await postgres_server.replica(settings, settings.database_replica_url)]
    started = settings.production or run is not None
    return findings + list(ports.examine(settings, roles, started=started))


def _settings(
    settings: Settings, roles: Sequence[str], run: embedded.Running | None
) -> Iterator[Finding]:
    yield Finding(GOOD, "environment", settings.environment)
    for name in ("REDIS_URL", "DATABASE_URL"):
        if url := getattr(settings, name.lower()):
            yield Finding(GOOD, name, url)
        elif settings.production:
            yield from _missing(name, roles)
        else:
            text = "is not set; with both URLs unset, `analytics run` starts its own servers"
            yield Finding(ODD, name, text)
    if settings.production and not settings.api_keys:
        yield from _missing("API_KEYS", roles)
    if run:
        text = (
            f"`analytics run` runs as process {run.pid} with its data in {settings.data_dir}; "
            "settings named below are those of this terminal"
        )
        yield Finding(GOOD, "running", text)


def _missing(name: str, roles: Sequence[str]) -> Iterator[Finding]:
    """What a variable that is not set means: a fault for the roles named, or for all there are."""
    asking = [role for role in roles or ROLES if name in NEEDS[role]]
    who = " and the ".join(asking)
    verb = "needs" if len(asking) == 1 else "need"
    text = f"is not set, and the {who} {verb} it in production; set {name} or {name}_FILE"
    if asking and (roles or len(asking) == len(ROLES)):
        yield Finding(BAD, name, text)
    elif asking:
        yield Finding(ODD, name, f"{text}, unless these settings are for another role (--role)")


def _policies(settings: Settings, roles: Sequence[str]) -> Iterator[Finding]:
    """What becomes of events, by the settings of the role that decides it."""
    if not roles or "processor" in roles:
        keep = f"for {settings.retention_days} days" if settings.retention_days else "for ever"
        text = (
            f"raw events are kept {keep} (RETENTION_DAYS), "
            f"ids for {settings.ledger_days} days (LEDGER_DAYS)"
        )
        yield Finding(GOOD, "retention", text)
    if not roles or "collector" in roles:
        if settings.require_write_key:
            text = "events without a write key are refused (REQUIRE_WRITE_KEY)"
        else:
            text = "events without a write key go to the project default (REQUIRE_WRITE_KEY)"
        yield Finding(GOOD, "write keys", text)
    if roles != ("processor",):
        yield _proxies(settings)


def _proxies(settings: Settings) -> Finding:
    """Whose word on a client's address counts."""
    names = ", ".join(map(str, settings.trusted_proxies))
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        text = f"{names} is everybody, so that any client may forge its address; name the proxies"
        return Finding(ODD, "proxies", text)
    if names:
        text = f"X-Real-IP, else X-Forwarded-For, of {names} is a client's address"
        return Finding(GOOD, "proxies", text)
    text = "TRUSTED_PROXIES is not set, so a client's address is that of the connection"
    if not settings.production:
        return Finding(GOOD, "proxies", text)
    text += ": behind a proxy all visitors are one; set it to the proxy's address"
    return Finding(ODD, "proxies", text)
