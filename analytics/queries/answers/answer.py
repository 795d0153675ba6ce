"""Questions and answers: what every question has, and the envelope that every answer comes in."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics import metrics
from analytics.errors import AnalyticsError, Unavailable
from analytics.projects import Key, authorize
from analytics.queries.answers.cache import Answers, Made, name_of
from analytics.queries.answers.fingerprint import mark
from analytics.queries.answers.flights import Flights
from analytics.queries.database.lanes import Lanes
from analytics.queries.database.replica import Replica
from analytics.queries.database.snapshot import open_snapshot
from analytics.queries.language import parameters
from analytics.queries.language.query import Query
from analytics.queries.question import Question, Stream
from analytics.queue.reader import Horizon, Reader

WATERMARK_SECONDS = 1.0

VERSION = 1
"""Of what answers look like: raise it when the data of any question changes its shape or meaning.
"""

LATENESS = timedelta(days=1)
"""So long after its end a range is settled: events may still come late, but few do."""

SETTLED_SECONDS, OPEN_SECONDS = 3600.0, 5.0
"""How long an answer is kept, of a settled range and of any other; it is given only while nothing
that it depends on has changed.
"""

SETTLED_MAX_AGE, OPEN_MAX_AGE = 300, 2
"""The same for whoever asks, who does not look whether anything has changed."""

_encoder = msgspec.json.Encoder()


class Sources(NamedTuple):
    """What answers are made from."""

    engine: AsyncEngine
    queue: Reader
    replica: Replica | None = None
    """Set where the engine is a replica's."""
    lanes: Lanes | None = None
    """Set where questions that take long, and streams, are kept apart; the engine is that of the
    light ones.
    """
    answers: Answers | None = None
    """Set where answers are kept."""
    flights: Flights | None = None
    """Set with `answers`: what is being made in this process."""


class Reply(NamedTuple):
    """An answer as it is sent: JSON, what tells it from every other answer to the same question,
    and for how many seconds it may be given again.
    """

    body: bytes
    etag: str
    max_age: int | None
    """None: ask again each time."""


class _Asking(NamedTuple):
    """A question that was put."""

    question: Question
    query: Query
    now: datetime
    name: bytes
    sources: Sources


async def answer(
    question: Question, query_string: bytes, path: Mapping[str, str], key: Key, sources: Sources
) -> bytes | Stream:
    """The whole answer, as JSON, or a stream."""
    found = await reply(question, query_string, path, key, sources)
    return found if isinstance(found, Stream) else found.body


async def reply(
    question: Question,
    query_string: bytes,
    path: Mapping[str, str],
    key: Key,
    sources: Sources,
    *,
    fresh: bool = False,
) -> Reply | Stream:
    """The answer with what a cache needs to know of it, or a stream; `fresh` takes none that was
    made before.
    """
    started, now = time.perf_counter(), datetime.now(UTC)
    query = parameters.read(
        question.query, query_string, path, now=now, project=authorize(key, "query")
    )
    authorize(key, "query", query.project)
    asking = _Asking(
        question,
        query,
        now,
        name_of(VERSION, question.path, key.project, query.as_given(now)),
        sources,
    )
    cached = False
    if question.kept and sources.answers is not None and sources.flights is not None:
        if fresh:
            found = await _make_and_keep(asking, sources.answers)
        else:
            (found, cached), joined = await sources.flights.join(
                asking.name, partial(_find_or_make, asking, sources.answers)
            )
            cached = cached or joined
        metrics.answers.inc({"cache": "hit" if cached else "miss"})
    else:
        found = await _make(asking)
    if isinstance(found, Stream):
        return found
    waits = _waits(asking, await _horizon(sources), found.watermark) if cached else found.partial
    meta = {
        "source": found.source,
        "watermark": found.watermark,
        "partial": waits,
        "cached": cached,
    }
    body = _encoder.encode(
        {
            "data": found.data,
            "query": found.query,
            "meta": {**meta, "ms": round((time.perf_counter() - started) * 1000)},
        }
    )
    return Reply(
        body,
        found.etag,
        (SETTLED_MAX_AGE if _settled(asking, found.watermark) else OPEN_MAX_AGE)
        if question.kept
        else None,
    )


async def _find_or_make(asking: _Asking, answers: Answers) -> tuple[Made | Stream, bool]:
    """The answer, and whether it was made before or by another api meanwhile."""
    kept = await answers.find(asking.name)
    if kept is not None and await _holds(kept, asking):
        return kept, True
    turn = await answers.begin(asking.name)
    if turn is None and (other := await answers.wait(asking.name, kept)):
        return other, True
    try:
        return await _make_and_keep(asking, answers), False
    finally:
        if turn is not None:
            await turn.end()


async def _make_and_keep(asking: _Asking, answers: Answers) -> Made | Stream:
    made = await _make(asking)
    if isinstance(made, Made) and made.watermark is not None:
        await answers.keep(made)
    return made


async def _holds(kept: Made, asking: _Asking) -> bool:
    """Whether nothing that the answer depends on has changed; no, where it takes long to tell."""
    try:
        async with open_snapshot(asking.sources.engine, asking.sources.queue) as snapshot:
            return kept.mark == await mark(asking.query, snapshot)
    except Unavailable as error:
        if error.code != "too_slow":
            raise
        return False


async def _make(asking: _Asking) -> Made | Stream:
    """An answer from the database.

    The watermark is read before the snapshot is taken: what was acknowledged before it had been
    stored by then.
    """
    sources = asking.sources
    horizon = await _horizon(sources)
    ask = partial(_ask, asking, horizon)
    if sources.lanes is None:
        return await ask(sources.engine)
    if asking.question.streamed:
        found = await ask(sources.lanes.slices)
        return (
            replace(found, chunks=sources.lanes.stream(found.chunks))
            if isinstance(found, Stream)
            else found
        )
    return await sources.lanes.run(asking.name, (asking.question.path, asking.query.shape), ask)


async def _ask(asking: _Asking, horizon: Horizon | None, engine: AsyncEngine) -> Made | Stream:
    question, query, _, name, sources = asking
    watermark = horizon.watermark if horizon else None
    async with open_snapshot(engine, sources.queue, watermark, query.project) as snapshot:
        await snapshot.check(query.patterns)
        found = await question.answer(query, snapshot)
        state = (
            await mark(query, snapshot) if question.kept and sources.answers is not None else b""
        )
    if isinstance(found, Stream):
        return replace(found, watermark=watermark)
    waits = _waits(asking, horizon, watermark)
    source = "rollup" if snapshot.sources == {"rollup"} else "raw"
    data = _encoder.encode(found)
    until = time.time() + (SETTLED_SECONDS if _settled(asking, watermark) else OPEN_SECONDS)
    etag = hashlib.sha256(name + data).hexdigest()[:32]
    return Made(
        name,
        state,
        until,
        etag,
        msgspec.Raw(data),
        msgspec.Raw(_encoder.encode(query.resolved())),
        source,
        watermark,
        waits,
    )


def _settled(asking: _Asking, watermark: datetime | None) -> bool:
    """Whether all that the answer depends on ended so long ago that hardly anything comes late."""
    until = asking.query.until
    return (
        until is not None
        and watermark is not None
        and until <= min(asking.now, watermark) - LATENESS
    )


def _waits(asking: _Asking, horizon: Horizon | None, watermark: datetime | None) -> bool:
    """Whether something waits, or may wait, that belongs to a range which reaches past the answer's
    watermark.
    """
    return (
        horizon is None
        or watermark is None
        or (horizon.waiting and asking.query.reach(asking.now) > watermark)
    )


async def _horizon(sources: Sources) -> Horizon | None:
    """Until when an answer is complete that is made after this; None if that cannot be told because
    Redis does not answer.
    """
    try:
        horizon = await asyncio.wait_for(sources.queue.horizon(), WATERMARK_SECONDS)
    except (TimeoutError, AnalyticsError, RedisError, OSError):
        horizon = None
    return horizon if sources.replica is None else await sources.replica.horizon(horizon)
