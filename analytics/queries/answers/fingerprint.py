"""Mark: what tells one state of a project's events from all others, read in a question's own
snapshot.

Equal marks mean equal answers. Whatever changes rows changes one of these, in its own transaction:

- the count of a day, of each event that is stored, however late; - the strays of a day, where
somebody else changed its rows, as an erasure does; and its parts, once they are rebuilt; - since
when rollups are complete: a rebuild lowers it, retention raises it before it drops anything; - the
version of who is whom, which an event outside of what is looked at may change.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from analytics.derived.instants import DAY_SPAN
from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.measures import Statement
from analytics.queries.language.query import Query
from analytics.tables import daily_metrics, identity_versions, rollup_since, rollup_strays, rollups

_encoder = msgspec.msgpack.Encoder()


def statement(project: str, until: datetime | None) -> Statement:
    """One row: digests of all that happened before the end of the UTC day that `until` is in; of
    everything, without.
    """
    days, part, stray, since = daily_metrics.c, rollups.c, rollup_strays.c, rollup_since.c
    counted = [
        days.project == project,
        days.metric_name == "events",
        days.dimension_key == "",
        days.dimension_value == "",
    ]
    kept = [
        part.project == project,
        part.span == DAY_SPAN,
        part.key == "",
        part.event_type == "",
        part.event_action == "",
    ]
    strayed = [stray.project == project]
    if until is not None:
        last = until.astimezone(UTC)
        counted.append(days.date <= last.date())
        hour = int(last.timestamp() // 3600)
        kept.append(part.start <= hour)
        strayed.append(stray.start <= hour)
    return select(
        _digest(select(days.date, days.value).where(and_(*counted))),
        _digest(select(part.start, part.part).where(and_(*kept))),
        _digest(select(stray.start, stray.writer).where(and_(*strayed))),
        _digest(select(since.project, since.start).where(since.project.in_([project, ""]))),
        select(identity_versions.c.version)
        .where(identity_versions.c.project == project)
        .scalar_subquery(),
    )


def _digest(pairs: Select[Any]) -> ColumnElement[str | None]:
    pair = pairs.subquery()
    first, second = pair.c
    text = func.concat(cast(first, Text), ":", cast(second, Text))
    return select(
        func.md5(func.string_agg(text, aggregate_order_by(cast(",", Text), first, second)))
    ).scalar_subquery()


async def mark(query: Query, snapshot: Snapshot) -> bytes:
    """The mark of what a question looks at, as this snapshot sees it."""
    return _encoder.encode(list((await snapshot.rows(statement(query.project, query.until)))[0]))
