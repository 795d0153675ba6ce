"""The queries that `queries.py` measures: each question of the api, on events of `crowd.py`."""

from collections.abc import Sequence
from typing import NamedTuple


class Case(NamedTuple):
    """One query to measure."""

    path: str
    """Below /api."""
    parameters: Sequence[tuple[str, str]] = ()
    precomputed: bool = False
    """Whether rollups can answer it."""


_FREQUENT = [("step", "navigation:view"), ("step", "engagement:click"), ("step", "commerce:add")]
_RARE = [("step", "account:login"), ("step", "commerce:add"), ("step", "commerce:buy")]

CASES = {
    "trends: count": Case("/trends", [], True),
    "trends: users": Case("/trends", [("measure", "users")], True),
    "trends: users, one event": Case(
        "/trends", [("measure", "users"), ("event", "engagement:click")], True
    ),
    "trends: users, rolling 7, compared": Case(
        "/trends", [("measure", "users"), ("rolling", "7"), ("compare", "previous")], True
    ),
    "trends: count by page": Case("/trends", [("by", "metadata.page")], True),
    "trends: users by country": Case(
        "/trends", [("measure", "users"), ("by", "metadata.$country")], True
    ),
    "trends: users by page": Case("/trends", [("measure", "users"), ("by", "metadata.page")], True),
    "trends: users, where a dimension": Case(
        "/trends", [("measure", "users"), ("where", "metadata.$country.eq.DE")], True
    ),
    "trends: two series and a formula": Case(
        "/trends",
        [("series", "users@commerce:buy"), ("series", "users@*"), ("formula", "A/B*100")],
        True,
    ),
    "trends: count, where plan=pro": Case("/trends", [("where", "metadata.plan.eq.pro")]),
    "trends: users, where plan=pro": Case(
        "/trends", [("measure", "users"), ("where", "metadata.plan.eq.pro")]
    ),
    "trends: count by plan": Case("/trends", [("by", "metadata.plan")]),
    "trends: sessions": Case("/trends", [("measure", "sessions")]),
    "trends: sum, one event": Case(
        "/trends", [("measure", "sum:metadata.amount"), ("event", "commerce:buy")]
    ),
    "trends: p95": Case("/trends", [("measure", "p95:metadata.ms")]),
    "trends: p95, one event": Case(
        "/trends", [("measure", "p95:metadata.ms"), ("event", "commerce:buy")]
    ),
    "breakdown: count, users by page": Case(
        "/breakdown", [("by", "metadata.page"), ("measure", "count,users"), ("limit", "100")], True
    ),
    "breakdown: users by event type": Case(
        "/breakdown", [("by", "event_type"), ("measure", "users")], True
    ),
    "breakdown: count, users by plan": Case(
        "/breakdown", [("by", "metadata.plan"), ("measure", "count,users")]
    ),
    "breakdown: count by plan and page": Case(
        "/breakdown", [("by", "metadata.plan,metadata.page")]
    ),
    "funnel: three frequent steps": Case("/funnel", _FREQUENT),
    "funnel: three rare steps": Case("/funnel", _RARE),
    "funnel: three rare steps by country": Case("/funnel", [*_RARE, ("by", "metadata.$country")]),
    "retention: days": Case("/retention", [("periods", "14")], True),
    "retention: days, recurring, after": Case(
        "/retention", [("periods", "30"), ("mode", "recurring"), ("bound", "after")], True
    ),
    "retention: weeks, of two events": Case(
        "/retention",
        [("periods", "8"), ("period", "week"), ("start", "account:login"), ("return", "commerce")],
        True,
    ),
    "paths": Case("/paths"),
    "paths, from an event": Case("/paths", [("start", "commerce:buy")]),
    "paths of sessions": Case("/paths", [("unit", "session")]),
    "sessions": Case("/sessions"),
    "lifecycle": Case("/lifecycle", [], True),
    "stickiness": Case("/stickiness", [], True),
    "users": Case("/users"),
    "users, of one event": Case("/users", [("event", "commerce:buy")]),
    "one user": Case("/users/user-3"),
    "one user's timeline": Case("/users/user-3/timeline"),
    "events": Case("/events"),
    "events, where nothing fits": Case("/events", [("where", "metadata.plan.eq.none")]),
    "one event": Case("/events/00000000-0000-7000-8000-000000000000"),
    "live": Case("/live"),
    "schema": Case("/schema"),
    "export, to the first bytes": Case("/export"),
}
