"""What the docs say retention is, in sets of actors and periods found by walking the time line."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.queries.oracle import Condition, Pair, Row, buckets, is_event

ANY: tuple[Pair, ...] = ((None, None),)


@dataclass(frozen=True)
class Retention:
    """A question, in parts."""

    start: datetime
    end: datetime
    zone: ZoneInfo
    period: str
    periods: int
    starting: tuple[Pair, ...] = ANY
    returning: tuple[Pair, ...] = ANY
    mode: str = "first"
    bound: str = "on"
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Cohort:
    start: date
    counts: list[int | None]


def periods(asked: Retention) -> tuple[list[datetime], int]:
    """The edges of the periods from that which holds `from`, and how many of these overlap the
    range.
    """
    longest = {"day": 2, "week": 9, "month": 33}[asked.period]
    edges = buckets(
        asked.start,
        asked.end + timedelta(days=longest * (asked.periods + 1)),
        asked.period,
        asked.zone,
        0,
    )
    overlapping = sum(edge < asked.end for edge in edges)
    return edges[: overlapping + asked.periods + 1], overlapping


def retention(rows: Iterable[Row], asked: Retention, watermark: datetime) -> list[Cohort]:
    edges, overlapping = periods(asked)
    rows = [row for row in rows if all(condition.holds(row) for condition in asked.where)]
    starts = sorted(
        (row for row in rows if is_event(row, asked.starting)), key=lambda row: row.timestamp
    )
    returns = [row for row in rows if is_event(row, asked.returning)]
    cohorts = []
    for cohort in range(overlapping):
        members = set()
        for row in starts:
            first_ever = next(other for other in starts if other.actor == row.actor)
            if asked.mode == "first" and row.timestamp != first_ever.timestamp:
                continue
            if (
                asked.start <= row.timestamp < asked.end
                and edges[cohort] <= row.timestamp < edges[cohort + 1]
            ):
                members.add(row.actor)
        counts: list[int | None] = [len(members)]
        for later in range(cohort + 1, cohort + 1 + asked.periods):
            until = asked.end if asked.bound == "after" else edges[later + 1]
            back = {row.actor for row in returns if edges[later] <= row.timestamp < until}
            counts.append(None if edges[later] > watermark else len(members & back))
        cohorts.append(Cohort(edges[cohort].astimezone(asked.zone).date(), counts))
    return cohorts
