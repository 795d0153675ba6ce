"""From a query string to the envelope that every answer comes in."""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics import metrics
from analytics.epoch import Epoch
from analytics.errors import AnalyticsError, Unavailable
from analytics.projects import ApiKey, KnownProjects, authorize
from analytics.queries.answers.cache import AnswerCache, name_of
from analytics.queries.answers.fingerprint import fingerprint
from analytics.queries.answers.hint import hint
from analytics.queries.answers.slots import Answer
from analytics.queries.database.epoch import KnownEpoch
from analytics.queries.database.lanes import Attempt, Lanes
from analytics.queries.database.replica import Replica
from analytics.queries.database.snapshot import Snapshot, open_snapshot
from analytics.queries.language import parameters
from analytics.queries.language.query import Query
from analytics.queries.question import Question, StreamedFile
from analytics.queue.reader import Horizon, Reader

WATERMARK_SECONDS = 1.0

VERSION = 2
"""Of cached answers: raise it when the data of any question changes its shape or meaning."""

LATENESS = timedelta(days=1)
"""A range that ended longer ago than this is old: events may still come late, but few do."""

OLD_SECONDS, RECENT_SECONDS = 3600.0, 5.0
"""How long an answer is cached, of an old range and of any other.

It is given only while its fingerprint holds.
"""

OLD_MAX_AGE_SECONDS, RECENT_MAX_AGE_SECONDS = 30, 2
"""How long a client or a proxy may keep it, who does not know whether the fingerprint still holds.

With the time for which the api caches a key it stays below the minute after which a revoked key is
refused everywhere.
"""

_encoder = msgspec.json.Encoder()


class Sources(NamedTuple):
    """What answers are made from."""

    engine: AsyncEngine
    """Of light queries, if there are lanes; of the replica, if there is one."""
    queue: Reader
    replica: Replica | None = None
    lanes: Lanes | None = None
    """None: all queries share `engine`."""
    cache: AnswerCache | None = None
    """None: every answer is made anew."""
    projects: KnownProjects | None = None
    """None: nobody asks whether a project exists."""
    epoch: KnownEpoch | None = None
    """None: nobody asks whether events may be lost."""


class EncodedAnswer(NamedTuple):
    """An answer as it is sent, with what HTTP caches need to know."""

    body: bytes
    """JSON."""
    etag: str
    """The same for the same data of the same query, as long as it is as sure."""
    max_age: int | None
    """Seconds that the client may keep it; None: ask again each time."""


class _Request(NamedTuple):
    """One query, read and authorized."""

    question: Question
    query: Query
    started: float
    """By `time.perf_counter`."""
    now: datetime
    name: bytes
    """Of its answer."""
    horizon: Horizon | None
    unsure_since: datetime | None
    """Events of the range that were acknowledged after this may be lost; None: none may."""
    sources: Sources

    @property
    def watermark(self) -> datetime | None:
        return self.horizon.watermark if self.horizon else None


async def answer(
    question: Question,
    query_string: bytes,
    path: Mapping[str, str],
    key: ApiKey,
    sources: Sources,
    *,
    fresh: bool = False,
) -> EncodedAnswer | StreamedFile:
    """Read the query, check the key's project, take the answer from the cache or make it.

    `path` has the parameters inside the path. `fresh`: do not take it from the cache. Raises
    BadRequest, Forbidden, NotFound or Unavailable.
    """
    started, now = time.perf_counter(), datetime.now(UTC)
    own = authorize(key, "query")
    query = parameters.read(question.query, query_string, path, now=now, project=own)
    authorize(key, "query", query.project)
    if sources.projects is not None and key.project is None:
        await sources.projects.require(query.project)
    name = name_of(VERSION, question.path, key.project, query.as_given(now))
    epoch = await sources.epoch.get() if sources.epoch else None  # before Redis holds a later one
    # before any snapshot is taken: what was acknowledged before this watermark is stored by then
    queued = await _queued(sources, query.project)
    unsure = _unsure_since(query, now, epoch, queued)
    replica = sources.replica
    horizon = queued if replica is None else await replica.horizon(queued, query.project)
    request = _Request(question, query, started, now, name, horizon, unsure, sources)
    if question.streamed:
        return await _stream(request, key)
    if question.cacheable and sources.cache is not None:
        holds, make = partial(_holds, request), partial(_make, request)
        made, cached = await sources.cache.get(name, holds, make, fresh=fresh)
        metrics.answers.inc({"cache": "hit" if cached else "miss"})
    else:
        made, cached = await _make(request), False
    return _encoded(request, made, cached=cached)


async def _make(request: _Request) -> Answer:
    """An answer from one snapshot of the database, in the lane where the query belongs."""
    question, query, sources = request.question, request.query, request.sources
    for attempt in _attempts(request):
        async with (
            attempt as engine,
            open_snapshot(engine, sources.queue, request.watermark, query.project) as snapshot,
        ):
            await snapshot.check(query.patterns)
            data = await question.answer(query, snapshot)
            cached = question.cacheable and sources.cache is not None
            state = await fingerprint(query, snapshot) if cached else b""
            advice = await hint(query, snapshot)
            return _answer(request, snapshot, _encoder.encode(data), state, advice)
    raise AssertionError("the last lane returns or raises")


def _attempts(request: _Request) -> Iterable[Attempt]:
    """The lanes to try, or the one engine there is."""
    lanes = request.sources.lanes
    if lanes is None:
        return [nullcontext(request.sources.engine)]
    return lanes.attempts(request.name, (request.question.path, request.query.shape))


def _answer(
    request: _Request, snapshot: Snapshot, data: bytes, state: bytes, advice: str | None
) -> Answer:
    """An answer with the fingerprint of its snapshot, `state`, and its hint."""
    watermark = request.watermark
    return Answer(
        name=request.name,
        fingerprint=state,
        until=time.time() + (OLD_SECONDS if _is_old(request, watermark) else RECENT_SECONDS),
        etag=hashlib.sha256(request.name + data).hexdigest()[:32],
        data=data,
        query=_encoder.encode(request.query.resolved()),
        source="rollup" if snapshot.sources == {"rollup"} else "raw",
        watermark=watermark,
        partial=_is_partial(request, watermark),
        hint=advice,
    )


async def _stream(request: _Request, key: ApiKey) -> StreamedFile:
    """What a streamed question sends; it takes turns with other streams."""
    query, sources, watermark = request.query, request.sources, request.watermark
    engine = sources.lanes.slices if sources.lanes else sources.engine
    async with open_snapshot(engine, sources.queue, watermark, query.project) as snapshot:
        await snapshot.check(query.patterns)
        stream: StreamedFile = await request.question.answer(query, snapshot)
        advice = await hint(query, snapshot)
    holder = (key.id, key.prefix)
    chunks = sources.lanes.stream(stream.chunks, holder) if sources.lanes else stream.chunks
    unsure = request.unsure_since
    return replace(stream, watermark=watermark, hint=advice, unsure_since=unsure, chunks=chunks)


def _encoded(request: _Request, made: Answer, *, cached: bool) -> EncodedAnswer:
    """The answer in its envelope. What may be lost is said of a cached answer too."""
    etag, unsure = made.etag, request.unsure_since
    waits = _is_partial(request, made.watermark) if cached else made.partial
    meta: dict[str, Any] = {
        "source": made.source,
        "watermark": made.watermark,
        "partial": waits or unsure is not None,
        "cached": cached,
        "ms": round((time.perf_counter() - request.started) * 1000),
    }
    if unsure is not None:
        meta["unsure_since"] = unsure
        etag = hashlib.sha256(f"{etag} {unsure.isoformat()}".encode()).hexdigest()[:32]
    if made.hint is not None:
        meta["hint"] = made.hint
    envelope = {"data": msgspec.Raw(made.data), "query": msgspec.Raw(made.query), "meta": meta}
    max_age = None
    if request.question.cacheable:
        old = _is_old(request, made.watermark)
        max_age = OLD_MAX_AGE_SECONDS if old else RECENT_MAX_AGE_SECONDS
    return EncodedAnswer(_encoder.encode(envelope), etag, max_age)


async def _holds(request: _Request, cached: Answer) -> bool:
    """Whether the fingerprint of a cached answer still holds; no if it takes too long to tell."""
    sources = request.sources
    try:
        async with open_snapshot(sources.engine, sources.queue) as snapshot:
            return cached.fingerprint == await fingerprint(request.query, snapshot)
    except Unavailable as error:
        if error.code != "too_slow":
            raise
        return False


def _is_old(request: _Request, watermark: datetime | None) -> bool:
    """Whether all that the answer depends on ended more than LATENESS ago."""
    until = request.query.until
    if until is None or watermark is None:
        return False
    return until <= min(request.now, watermark) - LATENESS


def _is_partial(request: _Request, watermark: datetime | None) -> bool:
    """Whether an event may be queued that belongs to the part of the range after the watermark."""
    if request.horizon is None or watermark is None:
        return True
    return request.horizon.waiting and request.query.reach(request.now) > watermark


def _unsure_since(
    query: Query, now: datetime, epoch: Epoch | None, queued: Horizon | None
) -> datetime | None:
    """Since when events that belong to the range may be lost; None: none may, as far as we know.

    `queued` was read after `epoch`. Without it only a loss that is recorded is known.
    """
    if epoch is None:
        return None
    since = epoch.unsure_since(queued.mark) if queued else epoch.lost_from
    return since if since is not None and query.reach(now) > since else None


async def _queued(sources: Sources, project: str) -> Horizon | None:
    """Up to when a snapshot of the primary taken after this is complete for a project.

    None if unknown: Redis does not answer.
    """
    try:
        async with asyncio.timeout(WATERMARK_SECONDS):
            return await sources.queue.horizon(project)
    except (TimeoutError, AnalyticsError, RedisError, OSError):
        return None
