"""What the docs say lifecycle and stickiness are, person by person and bucket by bucket."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.queries.oracle import Row, buckets


def lifecycle(
    rows: Iterable[Row], start: datetime, end: datetime, interval: str, zone: ZoneInfo
) -> dict[str, Any]:
    """Of rows that pass the filters; `times` as instants."""
    edges = buckets(start, end, interval, zone, 1)
    rows = [row for row in rows if row.timestamp < end]
    lives: dict[str, Any] = {
        "times": edges[1:-1],
        "new": [],
        "returning": [],
        "resurrecting": [],
        "dormant": [],
    }
    for at in range(1, len(edges) - 1):
        counts = dict.fromkeys(("new", "returning", "resurrecting", "dormant"), 0)
        for actor in {row.actor for row in rows}:
            mine = [row.timestamp for row in rows if row.actor == actor]
            now = any(edges[at] <= instant < edges[at + 1] for instant in mine)
            before = any(edges[at - 1] <= instant < edges[at] for instant in mine)
            first_here = edges[at] <= min(mine) < edges[at + 1]
            if now and first_here:
                counts["new"] += 1
            if now and before:
                counts["returning"] += 1
            if now and not first_here and not before:
                counts["resurrecting"] += 1
            if before and not now:
                counts["dormant"] -= 1
        for name, count in counts.items():
            lives[name].append(count)
    return lives


def stickiness(
    rows: Iterable[Row], start: datetime, end: datetime, interval: str, zone: ZoneInfo
) -> dict[str, list[int]]:
    edges = buckets(start, end, interval, zone, 0)
    width = len(edges) - 1
    users = [0] * width
    rows = [row for row in rows if start <= row.timestamp < end]
    for actor in {row.actor for row in rows}:
        active = sum(
            any(row.actor == actor and edges[at] <= row.timestamp < edges[at + 1] for row in rows)
            for at in range(width)
        )
        users[active - 1] += 1
    return {"buckets": list(range(1, width + 1)), "users": users}
