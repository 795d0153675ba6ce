"""Sessions: how many, how long, and how many of them were one event only; in all, and by when they
began.
"""

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
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import EXACT, Number, Statement, number
from analytics.queries.language.membership import ACTOR, members
from analytics.queries.language.query import BucketedQuery
from analytics.queries.precomputed.figures import divided
from analytics.queries.question import Question
from analytics.queries.sequences import packed_days
from analytics.queries.sequences.columns import Columns, microseconds
from analytics.queries.sequences.visits import Stays, stays
from analytics.tables import Instant, raw_events

WHOLE = None
"""Stands for the bucket of the whole range."""

SECOND = 1_000_000

PERSON_BITS = 32


class Figures(msgspec.Struct, frozen=True):
    """What is said of some sessions."""

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


class Sessions(Figures, frozen=True, kw_only=True):
    """The answer of `/api/sessions`: the figures of the whole range, and those of each bucket."""

    series: Series


def _visits(query: BucketedQuery, edges: Sequence[datetime]) -> tuple[CTE, CTE]:
    """Who took part in which session, and the sessions: each with the `bucket` in which it began
    (from 1), whether it `bounced`, and its `seconds`.
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
    return part, select(
        part.c.session, *(column.label(name) for name, column in columns.items())
    ).group_by(part.c.session).cte("visits")


def figures(query: BucketedQuery, edges: Sequence[datetime]) -> Statement:
    """`bucket` and its figures where sessions began; the bucket is null for the whole range. One
    statement, because finding the sessions is what costs.
    """
    part, visit = _visits(query, edges)
    duration, user = _durations(visit).subquery("durations"), _people(part, visit).subquery("users")
    same = func.coalesce(duration.c.bucket, 0) == func.coalesce(user.c.bucket, 0)
    return select(*duration.c, user.c.users).select_from(duration.join(user, same))


def _durations(visit: CTE) -> Statement:
    """`bucket`, `sessions`, `bounce_rate`, `avg_s`, `median_s`."""
    figures: dict[str, ColumnElement[Any]] = {
        "sessions": func.count(),
        "bounce_rate": func.avg(cast(visit.c.bounced, Integer)),
        "avg_s": func.avg(visit.c.seconds),
        "median_s": func.percentile_cont(0.5).within_group(cast(visit.c.seconds, Double)),
    }
    return select(
        visit.c.bucket, *(figure.label(name) for name, figure in figures.items())
    ).group_by(func.rollup(visit.c.bucket))


def _people(part: CTE, visit: CTE) -> Statement:
    """`bucket` and the number of distinct `users` in the sessions that began in it."""
    there = (
        select(visit.c.bucket, part.c.user)
        .join_from(part, visit, part.c.session == visit.c.session)
        .distinct()
        .subquery("there")
    )
    everyone = select(part.c.user).distinct().subquery("everyone")
    by_bucket = select(there.c.bucket, func.count().label("users")).group_by(there.c.bucket)
    return select(
        union_all(
            by_bucket, select(cast(null(), Integer), func.count()).select_from(everyone)
        ).subquery("users")
    )


async def answer(query: BucketedQuery, snapshot: Snapshot) -> Sessions:
    """Number, length and bounce rate of the sessions in the range, after the filters."""
    edges = query.edges()
    columns = await packed_days.load(query, snapshot, sessions=True)
    found = (
        await _of_rows(query, edges, snapshot)
        if columns is None
        else await columns.work(lambda: _of_columns(query, edges, columns))
    )
    buckets = [found.get(bucket, Figures()) for bucket in range(1, len(edges))]
    names = Figures.__struct_fields__
    series = Series(
        times=query.times(edges),
        **{name: [getattr(bucket, name) for bucket in buckets] for name in names},
    )
    return Sessions(**msgspec.structs.asdict(found.get(WHOLE, Figures())), series=series)


async def _of_rows(
    query: BucketedQuery, edges: Sequence[datetime], snapshot: Snapshot
) -> dict[int | None, Figures]:
    """The figures of each bucket in which sessions began, and of all of them."""
    snapshot.sources.add("raw")
    return {
        row.bucket: Figures(
            row.sessions,
            row.users,
            number(row.bounce_rate),
            number(row.avg_s),
            number(row.median_s),
        )
        for row in await snapshot.rows(figures(query, edges))
    }


def _of_columns(
    query: BucketedQuery, edges: Sequence[datetime], columns: Columns
) -> dict[int | None, Figures]:
    """The same from packed days."""
    found = stays(columns, columns.passing(query.event), np.array(list(map(microseconds, edges))))
    return _figures_of(found) if len(found.rows) else {}


def _figures_of(stays: Stays) -> dict[int | None, Figures]:
    order = np.argsort(stays.session)
    firsts = runs(stays.session[order])
    begins, bounced = (
        np.minimum.reduceat(stays.first[order], firsts),
        np.add.reduceat(stays.rows[order], firsts) == 1,
    )
    lasted, bucket = (
        np.maximum.reduceat(stays.last[order], firsts) - begins,
        np.minimum.reduceat(stays.bucket[order], firsts),
    )
    began = np.repeat(bucket.astype(np.int64), np.diff(np.append(firsts, len(order))))
    people = distinct(began << PERSON_BITS | stays.person[order])
    order = np.argsort(bucket.astype(np.uint16), kind="stable")  # MAX_BUCKETS fit
    bucket, lasted, bounced = bucket[order], lasted[order], bounced[order]
    users = np.bincount(people >> PERSON_BITS)
    found: dict[int | None, Figures] = {
        int(bucket[first]): _figures(
            lasted[first:end], bounced[first:end], int(users[bucket[first]])
        )
        for first, end in pairwise([*runs(bucket), len(bucket)])
    }
    return {
        **found,
        WHOLE: _figures(lasted, bounced, len(distinct(people & ((1 << PERSON_BITS) - 1)))),
    }


def _figures(lasted: Array, bounced: Array, users: int) -> Figures:
    """Of some sessions, by how many microseconds they lasted; averages are rounded where
    PostgreSQL's are, so that both ways say the same.
    """
    many = len(lasted)
    middle = (many - 1) // 2, many // 2
    low, high = (int(value) / SECOND for value in np.partition(lasted, middle)[list(middle)])
    seconds, rest = np.divmod(
        lasted, SECOND
    )  # sums of which fit, where that of sessions of years would not
    total = EXACT.scaleb(Decimal(int(seconds.sum()) * SECOND + int(rest.sum())), -6)
    return Figures(
        many,
        users,
        number(divided(Decimal(int(bounced.sum())), many)),
        number(divided(total, many)),
        number(low + (high - low) / 2),
    )


QUESTION = Question("/sessions", BucketedQuery, answer)
