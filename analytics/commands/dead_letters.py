"""`analytics dead-letters`: list the events that could not be stored, replay or delete them."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import click
import msgspec

from analytics import tasks
from analytics.commands.output import columns, instant, stream_json
from analytics.commands.servers import located, require_projects
from analytics.commands.span import Span
from analytics.errors import CommandError
from analytics.events import Event, public
from analytics.queue import Queue, body
from analytics.redis import connect
from analytics.settings import Settings
from analytics.stores import DeadLetter, DeadLetters, PostgresStore
from analytics.terminal import say

JOB_EVENTS = 1_000
JOB_BYTES = 4 * 1024 * 1024
"""Events and bytes of dead letters that are replayed as one job; a larger one is a job alone."""


_numbers = click.argument(
    "numbers", nargs=-1, type=click.IntRange(1, 2**63 - 1), metavar="[NUMBER]…"
)


@click.group("dead-letters")
def dead_letters() -> None:
    """List, replay and purge events that could not be stored."""


@dead_letters.command("list")
@click.option("--project", help="Only dead letters of this project.")
@click.option("--reason", help="Only dead letters with this reason.")
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Most dead letters to show, oldest first.",
)
@click.option("--json", "json_", is_flag=True, help="Print JSON, with the whole event or job.")
def list_(project: str | None, reason: str | None, limit: int, json_: bool) -> None:
    """List dead letters, oldest first. Each is an event, or a job of the queue that could not be
    read.
    """

    async def work() -> None:
        settings = located("DATABASE_URL")
        await require_projects(settings, [project] if project is not None else [])
        async with _opened(settings) as letters:
            found = letters.all(project=project, reason=reason)
            if json_:
                await stream_json(_document(letter) async for letter in _first(found, limit))
            else:
                _table([_row(letter) async for letter in _first(found, limit + 1)], limit)

    tasks.run(work())


@dead_letters.command()
@_numbers
@click.option("--all", "all_", is_flag=True, help="All dead letters.")
@click.option("--reason", help="Only dead letters with this reason; without a NUMBER, all of them.")
def replay(numbers: Sequence[int], all_: bool, reason: str | None) -> None:
    """Put dead letters back into the queue, by NUMBER, --reason or --all. Each is removed once
    stored; one that fails again comes back with its new reason.
    """
    if bool(numbers) == (all_ or (reason is not None and not numbers)):
        raise click.UsageError("name the NUMBERs to replay, or --all, or a --reason")
    tasks.run(_replay(located("DATABASE_URL", "REDIS_URL"), numbers, reason))


@dead_letters.command()
@_numbers
@click.option("--all", "all_", is_flag=True, help="All dead letters.")
@click.option(
    "--older-than",
    "age",
    type=Span(),
    metavar="30d",
    help="Only dead letters at least this old; without a NUMBER, all of them.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def purge(numbers: Sequence[int], all_: bool, age: timedelta | None, yes: bool) -> None:
    """Delete dead letters for good, by NUMBER, --all, or --older-than."""
    if bool(numbers) == (all_ or (age is not None and not numbers)):
        raise click.UsageError("name the NUMBERs to purge, or --all, or --older-than")

    async def work() -> int:
        async with _opened(located("DATABASE_URL")) as letters:
            return await letters.purge(
                numbers=list(numbers) or None,
                before=None if age is None else datetime.now(UTC) - age,
            )

    what = f"{len(set(numbers))} dead letters" if numbers else "all dead letters"
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for confirmation; pass --yes")
    if yes or click.confirm(f"Delete {what}{' of that age' if age else ''} for good?"):
        say(f"dead letters deleted: {tasks.run(work()):,}")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[DeadLetters]:
    store = await PostgresStore.open(settings)
    try:
        yield store.dead_letters
    finally:
        await store.close()


async def _first(letters: AsyncIterator[DeadLetter], most: int) -> AsyncIterator[DeadLetter]:
    """The first of dead letters; what comes after them is not read."""
    async for letter in letters:
        yield letter
        most -= 1
        if not most:
            return


def _table(rows: Sequence[Sequence[str]], limit: int) -> None:
    """Print rows up to a limit, and whether there are more."""
    shown = rows[:limit]
    if shown:
        header = ("NUMBER", "SINCE", "PROJECT", "EVENTS", "REASON", "WHAT", "MESSAGE")
        columns(header, shown, shorten=("WHAT", "MESSAGE"))
    more = len(rows) > limit
    count = "there are more; raise --limit to see them" if more else f"dead letters: {len(shown)}"
    say(count, err=True)


async def _replay(settings: Settings, numbers: Sequence[int], reason: str | None) -> None:
    """Replay these dead letters, or all of now; raises CommandError when none can be."""
    redis = connect(settings)
    queue = Queue(redis, settings)
    replayed = 0
    try:
        async with _opened(settings) as letters:
            group: dict[int, list[Event]] = {}
            size_bytes = 0
            async for letter in _chosen(letters, numbers, reason):
                if (events := _events(letter)) is None:
                    say(
                        f"dead letter {letter.number} stays: this release cannot read the job "
                        f"that it holds ({letter.reason}: {letter.message})",
                        err=True,
                    )
                    continue
                if group and size_bytes + len(letter.payload) > JOB_BYTES:
                    replayed += await _enqueue(queue, group)
                    group, size_bytes = {}, 0
                group[letter.number] = events
                size_bytes += len(letter.payload)
                if sum(map(len, group.values())) >= JOB_EVENTS:
                    replayed += await _enqueue(queue, group)
                    group, size_bytes = {}, 0
            replayed += await _enqueue(queue, group)
    finally:
        await redis.aclose()
    if not replayed:
        raise CommandError("no dead letter was put into the queue")
    say(
        f"events in the queue again: {replayed:,}; "
        "those that fail again come back to `analytics dead-letters list`"
    )


async def _chosen(
    letters: DeadLetters, numbers: Sequence[int], reason: str | None
) -> AsyncIterator[DeadLetter]:
    """The dead letters to replay: by number, or all with this reason."""
    if not numbers:
        # a replayed event that fails again becomes a new dead letter, with a higher number: stop
        # at the last number of now, or this would never end
        last = await letters.last()
        async for letter in letters.all(reason=reason):
            if letter.number > last:
                return
            yield letter
    for number in sorted(set(numbers)):
        page = await letters.page(after=number - 1, limit=1)
        if not page or page[0].number != number:
            say(f"there is no dead letter {number}", err=True)
        elif reason in (None, page[0].reason):
            yield page[0]


async def _enqueue(queue: Queue, group: dict[int, list[Event]]) -> int:
    """Put a group into the queue as one job; the count of events that went.

    When some of the group are in the queue already, each dead letter goes by itself.
    """
    events = [event for part in group.values() for event in part]
    if not events:
        return 0
    if await queue.enqueue_replay(events, list(group)):
        return len(events)
    if len(group) == 1:
        say(f"dead letter {next(iter(group))} is in the queue already", err=True)
        return 0
    return sum([await _enqueue(queue, {number: part}) for number, part in group.items()])


def _events(letter: DeadLetter) -> list[Event] | None:
    """The events of a dead letter; None when this release cannot read all of them.

    A job that an older release could not read may be readable now.
    """
    events = letter.decode() or _events_of_job(letter.payload)
    return events if events and len(events) == letter.events else None


def _events_of_job(job: bytes) -> list[Event] | None:
    try:
        payload = body.read(job)["a"][0]
    except (ValueError, LookupError, TypeError):
        return None
    return payload.events if isinstance(payload, body.Payload) else None


def _row(letter: DeadLetter) -> tuple[str, ...]:
    events = letter.decode()
    if events:
        what = f"{events[0].event_type}:{events[0].event_action}"
    else:
        what = f"a job, {len(letter.payload):,} bytes"
    return (
        str(letter.number),
        instant(letter.created_at, "-"),
        letter.project or "-",
        str(letter.events),
        letter.reason,
        what,
        " ".join(letter.message.split()),
    )


def _document(letter: DeadLetter) -> dict[str, object]:
    """A dead letter for `--json`: with its event, or with the bytes of its job in base64."""
    document = {
        "number": letter.number,
        "project": letter.project,
        "event_id": letter.event_id,
        "job_id": letter.job_id,
        "events": letter.events,
        "reason": letter.reason,
        "message": letter.message,
        "created_at": letter.created_at,
    }
    if events := letter.decode():
        return {**document, "event": _readable(events[0])}
    return {**document, "job": letter.payload}


def _readable(event: Event) -> dict[str, object]:
    """An event with its metadata as JSON, or as text when it is invalid JSON."""
    try:
        msgspec.json.decode(event.metadata)
        return public(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {**public(event), "metadata": event.metadata.decode(errors="backslashreplace")}
