"""What is asked by `queries.py`: each question of the api, of events as `crowd.py` makes them."""

from collections.abc import Sequence
from typing import NamedTuple


class Asked(NamedTuple):
    """A question: its path below /api, its parameters, and whether rollups have what it is about."""

    path: str
    parameters: Sequence[tuple[str, str]] = ()
    precomputed: bool = False


_FREQUENT = [("step", "navigation:view"), ("step", "engagement:click"), ("step", "commerce:add")]
_RARE = [("step", "account:login"), ("step", "commerce:add"), ("step", "commerce:buy")]

ASKED = {
    "trends: count": Asked("/trends", [], True),
    "trends: users": Asked("/trends", [("measure", "users")], True),
    "trends: users, one event": Asked(
        "/trends", [("measure", "users"), ("event", "engagement:click")], True
    ),
    "trends: users, rolling 7, compared": Asked(
        "/trends", [("measure", "users"), ("rolling", "7"), ("compare", "previous")], True
    ),
    "trends: count by page": Asked("/trends", [("by", "metadata.page")], True),
    "trends: users by country": Asked(
        "/trends", [("measure", "users"), ("by", "metadata.$country")], True
    ),
    "trends: users by page": Asked(
        "/trends", [("measure", "users"), ("by", "metadata.page")], True
    ),
    "trends: users, where a dimension": Asked(
        "/trends", [("measure", "users"), ("where", "metadata.$country.eq.DE")], True
    ),
    "trends: two series and a formula": Asked(
        "/trends",
        [("series", "users@commerce:buy"), ("series", "users@*"), ("formula", "A/B*100")],
        True,
    ),
    "trends: count, where plan=pro": Asked("/trends", [("where", "metadata.plan.eq.pro")]),
    "trends: users, where plan=pro": Asked(
        "/trends", [("measure", "users"), ("where", "metadata.plan.eq.pro")]
    ),
    "trends: count by plan": Asked("/trends", [("by", "metadata.plan")]),
    "trends: sessions": Asked("/trends", [("measure", "sessions")]),
    "trends: sum, one event": Asked(
        "/trends", [("measure", "sum:metadata.amount"), ("event", "commerce:buy")]
    ),
    "trends: p95": Asked("/trends", [("measure", "p95:metadata.ms")]),
    "trends: p95, one event": Asked(
        "/trends", [("measure", "p95:metadata.ms"), ("event", "commerce:buy")]
    ),
    "breakdown: count, users by page": Asked(
        "/breakdown", [("by", "metadata.page"), ("measure", "count,users"), ("limit", "100")], True
    ),
    "breakdown: users by event type": Asked(
        "/breakdown", [("by", "event_type"), ("measure", "users")], True
    ),
    "breakdown: count, users by plan": Asked(
        "/breakdown", [("by", "metadata.plan"), ("measure", "count,users")]
    ),
    "breakdown: count by plan and page": Asked(
        "/breakdown", [("by", "metadata.plan,metadata.page")]
    ),
    "funnel: three frequent steps": Asked("/funnel", _FREQUENT),
    "funnel: three rare steps": Asked("/funnel", _RARE),
    "funnel: three rare steps by country": Asked("/funnel", [*_RARE, ("by", "metadata.$country")]),
    "retention: days": Asked("/retention", [("periods", "14")], True),
    "retention: days, recurring, after": Asked(
        "/retention", [("periods", "30"), ("mode", "recurring"), ("bound", "after")], True
    ),
    "retention: weeks, of two events": Asked(
        "/retention",
        [("periods", "8"), ("period", "week"), ("start", "account:login"), ("return", "commerce")],
        True,
    ),
    "paths": Asked("/paths"),
    "paths, from an event": Asked("/paths", [("start", "commerce:buy")]),
    "paths of sessions": Asked("/paths", [("unit", "session")]),
    "sessions": Asked("/sessions"),
    "lifecycle": Asked("/lifecycle", [], True),
    "stickiness": Asked("/stickiness", [], True),
    "users": Asked("/users"),
    "users, of one event": Asked("/users", [("event", "commerce:buy")]),
    "one user": Asked("/users/user-3"),
    "one user's timeline": Asked("/users/user-3/timeline"),
    "events": Asked("/events"),
    "events, where nothing fits": Asked("/events", [("where", "metadata.plan.eq.none")]),
    "one event": Asked("/events/00000000-0000-7000-8000-000000000000"),
    "live": Asked("/live"),
    "schema": Asked("/schema"),
    "export, to the first bytes": Asked("/export"),
}
