"""`analytics doctor`: what is configured, reachable and durable, and how to mend what is not."""

from collections.abc import AsyncIterator, Iterator, Sequence

import asyncpg
import click
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from analytics import embedded, tasks
from analytics.commands import connected, losses, ports
from analytics.commands.finding import BAD, GOOD, ODD, Finding
from analytics.connection_errors import CONNECTION_ERRORS
from analytics.errors import AnalyticsError, ConfigurationError, TransientStoreError
from analytics.logs import hide_secrets
from analytics.queue.backpressure import memory_of, survey
from analytics.queue.reader import Reader
from analytics.redis import connect
from analytics.settings import NEEDS, ROLES, Settings
from analytics.stores import connections, guide
from analytics.stores.faults import describe
from analytics.stores.layouts.layout import detect
from analytics.stores.schema import head, version
from analytics.terminal import say

COLORS = {ODD: "yellow", BAD: "red"}

VERSIONS = range(15, 19)
"""Major versions of PostgreSQL that are supported."""

ACTIVE_KEYS = (
    "SELECT count(*) FROM api_keys WHERE NOT revoked AND (expires_at IS NULL OR expires_at > now())"
)
NOT_DURABLE = (
    "SELECT name FROM pg_settings"
    " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'"
)


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
        findings += [finding async for finding in _redis(settings)]
    if settings.database_url:
        findings += [finding async for finding in _database(settings)]
    if settings.redis_url and settings.database_url:
        findings += [finding async for finding in losses.examine(settings)]
    if settings.database_replica_url:
        findings += [await _replica(settings, settings.database_replica_url)]
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


async def _redis(settings: Settings) -> AsyncIterator[Finding]:
    redis = connect(settings)
    try:
        yield Finding(GOOD, "Redis", await _redis_version(redis))
        async for finding in _durability(redis):
            yield finding
        queue = Reader(redis)
        books, depth = await queue.books(), await queue.depth()
        text = (
            f"accepted {books.accepted} = stored {books.stored} + duplicate {books.duplicate} "
            f"+ dead-lettered {books.dead_lettered} + queued {books.queued}"
        )
        if not books.balanced:
            text += ": they do not balance, which is a bug; please report it"
        yield Finding(GOOD if books.balanced else BAD, "books", text)
        late = depth.oldest_s > settings.job_timeout * 2
        text = f"the oldest of {depth.events} events waits for {depth.oldest_s:.0f} s"
        if late:
            text += "; is a processor running?"
        yield Finding(ODD if late else GOOD, "queue", text if depth.jobs else "no event waits")
    except (RedisError, OSError, AnalyticsError) as error:
        yield Finding(BAD, "Redis", f"{error}; start it, or correct REDIS_URL")
    finally:
        await redis.aclose()


async def _redis_version(redis: Redis) -> str:
    try:
        info = await redis.info("server")
    except ResponseError:
        await redis.ping()
        return "answers, but does not say which version it is"
    name = info.get("server_name", "redis")
    return f"{name.capitalize()} {info.get(f'{name}_version', info['redis_version'])} answers"


async def _durability(redis: Redis) -> AsyncIterator[Finding]:
    try:
        warnings = await survey(redis)
    except ConfigurationError as error:
        yield Finding(BAD, "eviction", error.message)
        return
    memory = await memory_of(redis)
    if "maxmemory_policy" in memory:
        yield Finding(GOOD, "eviction", "maxmemory-policy is noeviction")
    else:
        text = "Redis does not say its maxmemory-policy; anything but noeviction may lose events"
        yield Finding(ODD, "eviction", text)
    for warning in warnings:
        yield Finding(ODD, "durability", warning)
    if not warnings:
        text = "what Redis acknowledges is on disk (append-only file, fsync always)"
        yield Finding(GOOD, "durability", text)
    limit_bytes = int(memory.get("maxmemory", 0))
    if limit_bytes:
        yield Finding(GOOD, "memory", f"Redis may use {limit_bytes / 2**20:.0f} MiB (maxmemory)")
    elif "maxmemory" in memory:
        text = (
            "Redis has no memory limit; CONFIG SET maxmemory, so that a long backlog leads to "
            "503 and not to a killed Redis"
        )
        yield Finding(ODD, "memory", text)


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with connections.connect(settings.database(), settings) as connection:
            async for finding in _server(connection):
                yield finding
            async for finding in _schema(connection):
                yield finding
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, ValueError) as error:
        yield Finding(BAD, "PostgreSQL", f"{describe(error)}; start it, or correct DATABASE_URL")


async def _replica(settings: Settings, url: str) -> Finding:
    try:
        async with connections.connect(url, settings) as connection:
            if await connection.fetchval("SELECT pg_is_in_recovery()"):
                return Finding(GOOD, "replica", "answers, and follows a primary")
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, ValueError) as error:
        text = f"{describe(error)}; start it, or unset DATABASE_REPLICA_URL"
        return Finding(BAD, "replica", text)
    text = (
        "the server at DATABASE_REPLICA_URL is not a replica, so answers would have no "
        "watermark; unset it"
    )
    return Finding(BAD, "replica", text)


async def _server(connection: asyncpg.Connection) -> AsyncIterator[Finding]:
    number = await connection.fetchval("SHOW server_version")
    known = connection.get_server_version().major in VERSIONS
    hint = "" if known else f"; supported are {VERSIONS[0]} to {VERSIONS[-1]}"
    yield Finding(GOOD if known else ODD, "PostgreSQL", f"{number} answers{hint}")
    extension = await connection.fetchval(
        "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
    )
    if extension:
        licence = await connection.fetchval("SELECT current_setting('timescaledb.license', true)")
        yield Finding(GOOD, "TimescaleDB", f"{extension}, licence {licence}")
    else:
        yield Finding(GOOD, "TimescaleDB", "is not installed: native partitions are used")
    for (name,) in await connection.fetch(NOT_DURABLE):
        text = (
            f"PostgreSQL's {name} is off: a crash may lose stored events; "
            f"ALTER SYSTEM SET {name} = on"
        )
        yield Finding(ODD, "durability", text)


async def _schema(connection: asyncpg.Connection) -> AsyncIterator[Finding]:
    at, newest = await version(connection), head()
    if at is None or at < newest:
        text = f"are at {at or 'nothing'}, this release needs {newest}; run `analytics migrate`"
        yield Finding(BAD, "tables", text)
        return
    if at > newest:
        text = (
            f"are at {at}, newer than this release knows ({newest}); "
            "deploy the release that made them"
        )
        yield Finding(ODD, "tables", text)
    try:
        yield Finding(GOOD, "tables", f"are at {at}, layout {(await detect(connection)).name}")
    except TransientStoreError as error:
        yield Finding(BAD, "tables", error.message)
    if await guide.waits(connection):
        text = "raw_events_guide holds events that are not carried over; run `analytics migrate`"
        yield Finding(BAD, "tables", text)
    keys = await connection.fetchval(ACTIVE_KEYS)
    text = (
        f"{keys} in the database"
        if keys
        else "none in the database; `analytics keys create` makes one"
    )
    yield Finding(GOOD, "keys", text)
