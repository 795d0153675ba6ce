# mypy: ignore-errors
"""Sends and asks with the client that openapi-python-client made; prints a JSON object a call."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from analytics_client import AuthenticatedClient, Client
from analytics_client.api.collect import collect, collect_gif
from analytics_client.api.operator import health, health_live, metrics
from analytics_client.api.questions import (
    breakdown,
    events,
    events_id,
    export,
    funnel,
    lifecycle,
    live,
    paths,
    questions,
    retention,
    schema,
    sessions,
    stickiness,
    trends,
    users,
    users_id,
    users_id_timeline,
)
from analytics_client.models import (
    Batch,
    CollectIds,
    ExportFormat,
    FunnelOrder,
    NewEvent,
    NewEventMetadataType0,
    RetentionPeriod,
    SessionsInterval,
    TrendsCompare,
    TrendsInterval,
)

KEY = os.environ["KEY"]
collector = Client(os.environ["COLLECTOR"], raise_on_unexpected_status=True)
api = Client(
    os.environ["API"], headers={"X-API-Key": KEY}, raise_on_unexpected_status=True, timeout=60
)


def told(name: str, response: Any) -> None:
    """Print what a call gave: the raw answer, and what the client read in it."""
    read = response.parsed
    said = {"name": name, "status": response.status_code.value}
    said["raw"] = response.content.decode(errors="replace")
    said["read"] = read.to_dict() if hasattr(read, "to_dict") else str(read)
    said["type"] = type(read).__name__
    print(json.dumps(said, default=str), flush=True)


def event(user: str, action: str, id_: str) -> NewEvent:
    return NewEvent(
        session_id=f"session of {user}",
        event_type="page",
        event_action=action,
        user_id=user,
        metadata=NewEventMetadataType0.from_dict({"plan": "pro", "amount": 12.5, "é": [1, None]}),
        timestamp=datetime.now(UTC),
        id=id_,
    )


def send() -> None:
    one, two, three = event("ada", "view", "1"), event("ada", "buy", "2"), event("bob", "view", "3")
    wrong = NewEvent(session_id="", event_type="page", event_action="view")
    told("one", collect.sync_detailed(client=collector, body=one, ids=CollectIds.VALUE_0))
    told("list", collect.sync_detailed(client=collector, body=[two, wrong]))
    batch = Batch(events=[three], sent_at=int(datetime.now(UTC).timestamp() * 1000))
    told("batch", collect.sync_detailed(client=collector, body=batch))
    told("none", collect.sync_detailed(client=collector, body=[wrong]))
    pixel = {"session_id": "mail", "event_type": "mail", "event_action": "open", "user_id": "cy"}
    told("pixel", collect_gif.sync_detailed(client=collector, **pixel))
    for name, call in (("health", health), ("health_live", health_live), ("metrics", metrics)):
        told(name, call.sync_detailed(client=collector))


def ask() -> None:
    told("questions", questions.sync_detailed(client=api))
    asked = {
        "trends": (
            trends,
            {
                "by": "metadata.plan",
                "interval": TrendsInterval.HOUR,
                "last": "2d",
                "compare": TrendsCompare.PREVIOUS,
                "where": ["user_id.set", "metadata.amount.gt.1"],
            },
        ),
        "trends_series": (trends, {"series": ["count@page", "users@*"], "formula": "A/B"}),
        "trends_empty": (trends, {"from_": "2020-01-01", "to": "2020-01-03", "tz": "Asia/Tokyo"}),
        "breakdown": (breakdown, {"by": "event_type,event_action", "measure": "count,users"}),
        "funnel": (
            funnel,
            {
                "step": ["page:view", "page:buy"],
                "window": "1d",
                "order": FunnelOrder.STRICT,
                "by": "metadata.plan",
            },
        ),
        "retention": (
            retention,
            {"start": "page:view", "return_": "page:buy", "period": RetentionPeriod.DAY},
        ),
        "paths": (paths, {"by": "event_action", "depth": 2}),
        "sessions": (sessions, {"interval": SessionsInterval.WEEK}),
        "lifecycle": (lifecycle, {"event": "page"}),
        "stickiness": (stickiness, {}),
        "users": (users, {"limit": 1}),
        "users_id": (users_id, {"id": "ada"}),
        "users_id_timeline": (users_id_timeline, {"id": "ada"}),
        "events": (events, {"event": "page", "limit": 2}),
        "events_id": (events_id, {"id": "1"}),
        "events_id_unknown": (events_id, {"id": "nobody sent it"}),
        "export": (export, {}),
        "export_csv": (export, {"format_": ExportFormat.CSV}),
        "live": (live, {}),
        "schema": (schema, {}),
        "wrong": (trends, {"by": "metadata."}),
        "missing": (trends, {"project": "nowhere"}),
    }
    for name, (question, parameters) in asked.items():
        told(name, question.sync_detailed(client=api, **parameters))
    bearer = AuthenticatedClient(os.environ["API"], token=KEY, raise_on_unexpected_status=True)
    told("bearer", live.sync_detailed(client=bearer))
    stranger = Client(os.environ["API"], raise_on_unexpected_status=True)
    told("stranger", live.sync_detailed(client=stranger))


{"send": send, "ask": ask}[sys.argv[1]]()
