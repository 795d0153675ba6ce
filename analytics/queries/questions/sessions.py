"""Sessions: how many, how long and how many of one event only; in all and by bucket."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import (
    CTE,
    ColumnElement,
    Double,
    Integer,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.derived.arrays import Array, distinct, runs
from analytics.derived.instants import SECOND_US
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import EXACT, Number, Statement, number
from analytics.queries.language.membership import ACTOR, members
from analytics.queries.language.query import BucketedQuery
from analytics.queries.precomputed.summaries import average
from analytics.queries.question import Question
from analytics.queries.sequences import packed_days
from analytics.queries.sequences.columns import Columns, epoch_us
from analytics.queries.sequences.fragments import Fragments, fragments
from analytics.tables import Instant, raw_events

WHOLE_RANGE = None
"""In place of a bucket: the whole range."""


PERSON_BITS = 32


class SessionStats(msgspec.Struct, frozen=True):
    """Figures for some sessions. `bounce_rate` is the share of sessions of one event."""

    sessions: int = 0
    users: int = 0
    bounce_rate: Number = None
    avg_s: Number = None
    median_s: Number = None


class Series(msgspec.Struct, frozen=True):
    """The same figures for the sessions that began in each bucket."""

    times: list[str]
    sessions: list[int]
    users: list[int]
    bounce_rate: list[Number]
    avg_s: list[Number]
    median_s: list[Number]


class Sessions(SessionStats, frozen=True, kw_only=True):
    """The answer of `/api/sessions`: the figures of the whole range, and those of each bucket."""

    series: Series


StatsByBucket = dict[int | None, SessionStats]
"""By bucket from 1, and WHOLE_RANGE."""


def stats(query: BucketedQuery, edges: Sequence[datetime]) -> Statement:
    """The fields of SessionStats by `bucket`, where sessions began; null is the whole range.

    One statement, because finding the sessions is what costs.
    """
    part, session = _sessions(query, edges)
    duration = _durations(session).subquery("durations")
    user = _people(part, session).subquery("users")
    same = func.coalesce(duration.c.bucket, 0) == func.coalesce(user.c.bucket, 0)
    return select(*duration.c, user.c.users).select_from(duration.join(user, same))


def _sessions(query: BucketedQuery, edges: Sequence[datetime]) -> tuple[CTE, CTE]:
    """Who took part in which session; and the sessions.

    Each session has the `bucket` in which it began (from 1), `bounced`, and its `seconds`.
    """
    row = members(
        "session", query.rows(), ACTOR.label("user"), raw_events.c.timestamp, name="session"
    ).subquery("rows")
    ends = (
        func.min(row.c.timestamp).label("first"),
        func.max(row.c.timestamp).label("last"),
        func.count().label("events"),
    )
    part = select(row.c.session, row.c.user, *ends).group_by(row.c.session, row.c.user).cte("parts")
    first, last = func.min(part.c.first), func.max(part.c.last)
    columns = {
        "bucket": func.width_bucket(first, literal(list(edges), ARRAY(Instant))),
        "bounced": func.sum(part.c.events) == 1,
        "seconds": func.extract("epoch", last - first),
    }
    labelled = (column.label(name) for name, column in columns.items())
    return part, select(part.c.session, *labelled).group_by(part.c.session).cte("sessions")


def _durations(session: CTE) -> Statement:
    """`bucket`, `sessions`, `bounce_rate`, `avg_s`, `median_s`."""
    columns: dict[str, ColumnElement[Any]] = {
        "sessions": func.count(),
        "bounce_rate": func.avg(cast(session.c.bounced, Integer)),
        "avg_s": func.avg(session.c.seconds),
        "median_s": func.percentile_cont(0.5).within_group(cast(session.c.seconds, Double)),
    }
    labelled = (column.label(name) for name, column in columns.items())
    return select(session.c.bucket, *labelled).group_by(func.rollup(session.c.bucket))


def _people(part: CTE, session: CTE) -> Statement:
    """`bucket`, and the number of distinct `users` in the sessions that began in it."""
    pair = (
        select(session.c.bucket, part.c.user)
        .join_from(part, session, part.c.session == session.c.session)
        .distinct()
        .subquery("pairs")
    )
    person = select(part.c.user).distinct().subquery("people")
    by_bucket = select(pair.c.bucket, func.count().label("users")).group_by(pair.c.bucket)
    in_all = select(cast(null(), Integer), func.count()).select_from(person)
    return select(union_all(by_bucket, in_all).subquery("users"))


async def answer(query: BucketedQuery, snapshot: Snapshot) -> Sessions:
    """Number, length and bounce rate of the sessions of events that pass the filters."""
    edges = query.edges()
    columns = await packed_days.load(query, snapshot, sessions=True)
    if columns is None:
        by_bucket = await _from_raw_rows(query, edges, snapshot)
    else:
        by_bucket = await columns.work(lambda: _from_columns(query, edges, columns))
    nothing = SessionStats()
    buckets = [by_bucket.get(bucket, nothing) for bucket in range(1, len(edges))]
    series = {
        name: [getattr(bucket, name) for bucket in buckets]
        for name in SessionStats.__struct_fields__
    }
    whole = msgspec.structs.asdict(by_bucket.get(WHOLE_RANGE, nothing))
    return Sessions(**whole, series=Series(times=query.times(edges), **series))


async def _from_raw_rows(
    query: BucketedQuery, edges: Sequence[datetime], snapshot: Snapshot
) -> StatsByBucket:
    snapshot.sources.add("raw")
    return {
        row.bucket: SessionStats(
            row.sessions,
            row.users,
            number(row.bounce_rate),
            number(row.avg_s),
            number(row.median_s),
        )
        for row in await snapshot.rows(stats(query, edges))
    }


def _from_columns(
    query: BucketedQuery, edges: Sequence[datetime], columns: Columns
) -> StatsByBucket:
    edges_us = np.array(list(map(epoch_us, edges)))
    every = fragments(columns, columns.matching(query.event), edges_us)
    return _stats_by_bucket(every) if len(every.rows) else {}


def _stats_by_bucket(fragments: Fragments) -> StatsByBucket:
    """The statistics of sessions from their fragments, of all buckets at once."""
    # A session is a run of fragments once these are sorted by session.
    order = np.argsort(fragments.session)
    firsts = runs(fragments.session[order])
    begins = np.minimum.reduceat(fragments.first_us[order], firsts)
    lengths_us = np.maximum.reduceat(fragments.last_us[order], firsts) - begins
    bounced = np.add.reduceat(fragments.rows[order], firsts) == 1
    bucket = np.minimum.reduceat(fragments.bucket[order], firsts)
    # A person counts in the bucket in which the session began, so each fragment gets that one.
    # Pairs of bucket and person are one number, bucket in the high bits, to be counted once each.
    began = np.repeat(bucket.astype(np.int64), np.diff(np.append(firsts, len(order))))
    pairs = distinct(began << PERSON_BITS | fragments.person[order])
    users = np.bincount(pairs >> PERSON_BITS)
    order = np.argsort(bucket.astype(np.uint16), kind="stable")  # MAX_BUCKETS fit sixteen bits
    bucket, lengths_us, bounced = bucket[order], lengths_us[order], bounced[order]
    by_bucket: StatsByBucket = {}
    for first, end in pairwise([*runs(bucket), len(bucket)]):
        at = int(bucket[first])
        by_bucket[at] = _stats(lengths_us[first:end], bounced[first:end], int(users[at]))
    everybody = distinct(pairs & ((1 << PERSON_BITS) - 1))
    by_bucket[WHOLE_RANGE] = _stats(lengths_us, bounced, len(everybody))
    return by_bucket


def _stats(lengths_us: Array, bounced: Array, users: int) -> SessionStats:
    """The statistics of some sessions, at least one, by their lengths.

    Averages are rounded as PostgreSQL rounds them, so that both ways give the same answer.
    """
    count = len(lengths_us)
    middle = (count - 1) // 2, count // 2
    low, high = (int(us) / SECOND_US for us in np.partition(lengths_us, middle)[list(middle)])
    # The sum of seconds fits 64 bits; the sum of microseconds would not for sessions of years.
    seconds, rest_us = np.divmod(lengths_us, SECOND_US)
    total_us = int(seconds.sum()) * SECOND_US + int(rest_us.sum())
    return SessionStats(
        count,
        users,
        number(average(Decimal(int(bounced.sum())), count)),
        number(average(EXACT.scaleb(Decimal(total_us), -6), count)),
        number(low + (high - low) / 2),
    )


QUESTION = Question("/sessions", BucketedQuery, answer)
