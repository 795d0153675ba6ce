"""Sessions: how many, how long, and how many of them were one event only; in all, and by when they began."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import CTE, ColumnElement, Double, Integer, cast, func, literal, null, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.queries.answer import Question
from analytics.queries.asked import Bucketed
from analytics.queries.measures import Number, Statement, number
from analytics.queries.read import Read
from analytics.queries.units import ACTOR, members
from analytics.tables import Instant, raw_events

WHOLE = None
"""Stands for the bucket of the whole range."""


class Figures(msgspec.Struct, frozen=True):
    """What is said of some sessions."""

    sessions: int = 0
    users: int = 0
    bounce_rate: Number = None
    avg_s: Number = None
    median_s: Number = None


class Series(msgspec.Struct, frozen=True):
    """The same of the sessions that began in each bucket."""

    times: list[str]
    sessions: list[int]
    users: list[int]
    bounce_rate: list[Number]
    avg_s: list[Number]
    median_s: list[Number]


class Sessions(Figures, frozen=True, kw_only=True):
    """What is answered: the figures of the whole range, and those of each bucket."""

    series: Series


def _visits(asked: Bucketed, edges: Sequence[datetime]) -> tuple[CTE, CTE]:
    """Who took part in which session, and the sessions: each with the `bucket` in which it began (from 1), whether it `bounced`, and its `seconds`."""
    row = members("session", asked.rows(), ACTOR.label("user"), raw_events.c.timestamp, name="session").subquery("rows")
    ends = (func.min(row.c.timestamp).label("first"), func.max(row.c.timestamp).label("last"), func.count().label("events"))
    part = select(row.c.session, row.c.user, *ends).group_by(row.c.session, row.c.user).cte("parts")
    first, last = func.min(part.c.first), func.max(part.c.last)
    columns = {
        "bucket": func.width_bucket(first, literal(list(edges), ARRAY(Instant))),
        "bounced": func.sum(part.c.events) == 1,
        "seconds": func.extract("epoch", last - first),
    }
    return part, select(part.c.session, *(column.label(name) for name, column in columns.items())).group_by(part.c.session).cte("visits")


def figures(asked: Bucketed, edges: Sequence[datetime]) -> Statement:
    """`bucket` and its figures where sessions began; the bucket is null for the whole range. One statement, because finding the sessions is what costs."""
    part, visit = _visits(asked, edges)
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
    return select(visit.c.bucket, *(figure.label(name) for name, figure in figures.items())).group_by(func.rollup(visit.c.bucket))


def _people(part: CTE, visit: CTE) -> Statement:
    """`bucket` and the number of distinct `users` in the sessions that began in it."""
    there = select(visit.c.bucket, part.c.user).join_from(part, visit, part.c.session == visit.c.session).distinct().subquery("there")
    everyone = select(part.c.user).distinct().subquery("everyone")
    by_bucket = select(there.c.bucket, func.count().label("users")).group_by(there.c.bucket)
    return select(union_all(by_bucket, select(cast(null(), Integer), func.count()).select_from(everyone)).subquery("users"))


async def answer(asked: Bucketed, read: Read) -> Sessions:
    """The sessions that are left of the rows in the range when all filters are passed."""
    edges = asked.edges()
    found = {row.bucket: row for row in await read.rows(figures(asked, edges))}

    def shown(bucket: int | None) -> Figures:
        if bucket not in found:
            return Figures()
        of = found[bucket]
        return Figures(of.sessions, of.users, number(of.bounce_rate), number(of.avg_s), number(of.median_s))

    buckets = [shown(bucket) for bucket in range(1, len(edges))]
    names = Figures.__struct_fields__
    series = Series(times=asked.times(edges), **{name: [getattr(bucket, name) for bucket in buckets] for name in names})
    return Sessions(**msgspec.structs.asdict(shown(WHOLE)), series=series)


QUESTION = Question("/sessions", Bucketed, answer)
