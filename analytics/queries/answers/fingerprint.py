"""The fingerprint of a project's events, read in a query's own snapshot.

Equal fingerprints mean equal answers. It covers all days up to the end of a query's range. Whatever
changes rows changes one of these, in its own transaction:

- each day's count of events, with each event that is stored, however late;
- each day's strays, when somebody other than the processor changed rows, as an erasure does;
- each day's part of rollups, when it is rebuilt;
- the time since which rollups are complete: a rebuild lowers it, retention raises it before it
  drops anything;
- the version of the identity links, which an event outside of the range may change.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from analytics.derived.instants import DAY_SPAN, hour_of
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import Query
from analytics.tables import daily_metrics, identity_versions, rollup_since, rollup_strays, rollups

_encoder = msgspec.msgpack.Encoder()


def statement(project: str, until: datetime | None) -> Statement:
    """One row of digests, up to the end of the UTC day that `until` is in; None: of everything."""
    days, part, stray, since = daily_metrics.c, rollups.c, rollup_strays.c, rollup_since.c
    day_is = [
        days.project == project,
        days.metric_name == "events",
        days.dimension_key == "",
        days.dimension_value == "",
    ]
    part_is = [
        part.project == project,
        part.span == DAY_SPAN,
        part.key == "",
        part.event_type == "",
        part.event_action == "",
    ]
    stray_is = [stray.project == project]
    if until is not None:
        last = until.astimezone(UTC)
        hour = hour_of(last)
        day_is.append(days.date <= last.date())
        part_is.append(part.start <= hour)
        stray_is.append(stray.start <= hour)
    return select(
        _digest(select(days.date, days.value).where(and_(*day_is))),
        _digest(select(part.start, part.part).where(and_(*part_is))),
        _digest(select(stray.start, stray.writer).where(and_(*stray_is))),
        _digest(select(since.project, since.start).where(since.project.in_([project, ""]))),
        select(identity_versions.c.version)
        .where(identity_versions.c.project == project)
        .scalar_subquery(),
    )


def _digest(pairs: Select[Any]) -> ColumnElement[str | None]:
    """The MD5 of all pairs of values in order; NULL of none."""
    pair = pairs.subquery()
    first, second = pair.c
    text = func.concat(cast(first, Text), ":", cast(second, Text))
    joined = func.string_agg(text, aggregate_order_by(cast(",", Text), first, second))
    return select(func.md5(joined)).scalar_subquery()


async def fingerprint(query: Query, snapshot: Snapshot) -> bytes:
    """The fingerprint of all that a query depends on, as this snapshot sees it."""
    (row,) = await snapshot.rows(statement(query.project, query.until))
    return _encoder.encode(list(row))
