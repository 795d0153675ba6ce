"""Requests with many events, as the libraries of each product send them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.collecting import Client


class Bulk(NamedTuple):
    """How one product's library sends many events in one request."""

    path: str
    event: Callable[[str, str | None, str], dict[str, Any]]
    """Name, key and id of an event → the event; a key of None means that it has none."""
    body: Callable[[Sequence[dict[str, Any]]], Any] = list
    """Events → what is sent as JSON."""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed

    async def send(
        self, client: Client, *events: dict[str, Any], **headers: str
    ) -> "tuple[int, Any]":
        """Send events; the status and the JSON that is answered (None where it is not JSON)."""
        answer = await client.send_events(
            self.body(events), self.path, **{**self.headers, **headers}
        )
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.status_code, answer.json() if is_json else None


def _with(key: str | None, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Fields, and the key under this name if there is one."""
    return fields if key is None else {**fields, name: key}


def _segment(name: str, key: str | None, id_: str) -> dict[str, Any]:
    call = {"type": "track", "event": name, "userId": "u", "messageId": id_}
    return _with(key, "writeKey", call)


def _amplitude(name: str, key: str | None, id_: str) -> dict[str, Any]:
    return _with(key, "api_key", {"event_type": name, "user_id": "u", "insert_id": id_})


def _posthog(name: str, key: str | None, id_: str) -> dict[str, Any]:
    properties = _with(key, "token", {})
    return {"event": name, "distinct_id": "u", "uuid": id_, "properties": properties}


def _mixpanel(name: str, key: str | None, id_: str) -> dict[str, Any]:
    properties = _with(key, "token", {"distinct_id": "u", "time": 1577836800, "$insert_id": id_})
    return {"event": name, "properties": properties}


def _umami(name: str, key: str | None, _: str) -> dict[str, Any]:
    return {"type": "event", "payload": _with(key, "website", {"name": name})}


def _snowplow(name: str, key: str | None, id_: str) -> dict[str, Any]:
    return _with(key, "aid", {"e": "se", "se_ca": "c", "se_ac": name, "eid": id_})


def _matomo(name: str, key: str | None, _: str) -> dict[str, Any]:
    return _with(key, "idsite", {"rec": "1", "e_c": "c", "e_a": name})


def _cloudevent(name: str, key: str | None, id_: str) -> dict[str, Any]:
    event = {"specversion": "1.0", "type": name, "source": "/s", "id": id_}
    return _with(key, "writekey", event)


BULKS = {
    "segment": Bulk("/v1/batch", _segment, lambda calls: {"batch": calls}),
    "amplitude": Bulk("/2/httpapi", _amplitude, lambda events: {"events": events}),
    "posthog": Bulk("/batch/", _posthog, lambda events: {"batch": events}),
    "posthog, a list": Bulk("/e/", _posthog),
    "posthog_v1": Bulk("/i/v1/analytics/events", _posthog, lambda events: {"batch": events}),
    "mixpanel": Bulk("/track?verbose=1", _mixpanel),
    "mixpanel_import": Bulk("/import", _mixpanel),
    "umami": Bulk("/api/batch", _umami),
    "snowplow": Bulk(
        "/com.snowplowanalytics.snowplow/tp2", _snowplow, lambda events: {"data": events}
    ),
    "matomo": Bulk(
        "/matomo.php",
        _matomo,
        lambda actions: {
            "requests": ["?" + "&".join(map("=".join, action.items())) for action in actions]
        },
    ),
    "cloudevents": Bulk(
        "/cloudevents",
        _cloudevent,
        headers={"content_type": "application/cloudevents-batch+json"},
    ),
}
"""Every product that sends many events in one request, each of which may have its own key."""


def verdicts(name: str, answer: Any) -> list[int]:
    """The indices of the events that an answer calls refused."""
    if name == "matomo":
        return list(answer["invalid_indices"])
    if name == "posthog_v1":
        results = answer["results"].values()
        return [index for index, one in enumerate(results) if one["result"] == "drop"]
    return [rejection["index"] for rejection in answer["rejected"]]


def names(client: Client) -> list[tuple[str, str]]:
    """Project and name of what a collector took in."""
    return [(event.project, event.event_action) for event in client.sink.events]
