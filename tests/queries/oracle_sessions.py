"""What the docs say sessions are, one after the other."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.queries.oracle import Row, buckets, in_sessions, percentile

SECOND = timedelta(seconds=1)


def figures(sessions: list[list[Row]]) -> dict[str, Any]:
    """Of some sessions, each a list of its rows."""
    lengths = [
        Fraction(
            (max(row.timestamp for row in mine) - min(row.timestamp for row in mine))
            // timedelta(microseconds=1),
            10**6,
        )
        for mine in sessions
    ]
    return {
        "sessions": len(sessions),
        "users": len({row.actor for mine in sessions for row in mine}),
        "bounce_rate": Fraction(sum(len(mine) == 1 for mine in sessions), len(sessions))
        if sessions
        else None,
        "avg_s": sum(lengths, Fraction(0)) / len(sessions) if sessions else None,
        "median_s": percentile(lengths, Fraction(1, 2)),
    }


def sessions(
    rows: Iterable[Row], start: datetime, end: datetime, interval: str, zone: ZoneInfo
) -> dict[str, Any]:
    """Of rows that pass the filters; `series` as a list of the buckets' figures, each with its
    `time`.
    """
    by_session: dict[Any, list[Row]] = {}
    for row in in_sessions(rows):
        if start <= row.timestamp < end:
            by_session.setdefault(row.session, []).append(row)
    every = list(by_session.values())
    edges = buckets(start, end, interval, zone, 0)
    series = []
    for edge, following in pairwise(edges):
        begun = [mine for mine in every if edge <= min(row.timestamp for row in mine) < following]
        series.append({"time": edge, **figures(begun)})
    return {**figures(every), "series": series}
