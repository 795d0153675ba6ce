"""One event of each product, with a place for a value that the tests choose."""

import json
from typing import Any, NamedTuple

import httpx2

from tests.collecting import Client

HERE = "\x01here\x01"
"""Stands where the value goes."""


class Message(NamedTuple):
    """A request with one event."""

    path: str
    body: Any
    """As JSON, with HERE where the value goes."""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed

    async def send(self, client: Client, value: str) -> httpx2.Response:
        """Send the event with a value, which is written as it stands; it may be no JSON."""
        body = json.dumps(self.body).replace(json.dumps(HERE), value)
        return await client.send_events(body.encode(), self.path, **self.headers)


CLOUD = {"content_type": "application/cloudevents+json"}
SNOWPLOW = "/com.snowplowanalytics.snowplow/tp2"
GA4 = "/mp/collect?measurement_id=m&api_secret=s"


def _mixpanel(name: str, **properties: Any) -> dict[str, Any]:
    given = {"token": "t", **properties}
    named = {key if key[:1] != "_" else f"${key[1:]}": value for key, value in given.items()}
    return {"event": name, "properties": named}


def _posthog(event: str = "e", **fields: Any) -> dict[str, Any]:
    return {"api_key": "k", "event": event, "distinct_id": "u", **fields}


def _amplitude(**fields: Any) -> dict[str, Any]:
    return {"api_key": "k", "events": [{"event_type": "e", **fields}]}


def _snowplow(**fields: Any) -> dict[str, Any]:
    return {"data": [{"e": "pv", **fields}]}


def _umami(**fields: Any) -> dict[str, Any]:
    return {"type": "event", "payload": {"website": "w", "name": "e", **fields}}


def _ga4(params: Any = None, **fields: Any) -> dict[str, Any]:
    return {"events": [{"name": "e", "params": params or {}}], **fields}


def _cloud(**fields: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "/s", "type": "e", **fields}


X = {"x": HERE}

PROPERTIES: dict[str, Message] = {
    "segment": Message("/v1/track", {"userId": "u", "event": "e", "properties": X}),
    "segment, traits": Message("/v1/identify", {"userId": "u", "traits": X}),
    "posthog": Message("/e/", _posthog(properties=X)),
    "posthog, a batch": Message("/batch/", {"api_key": "k", "batch": [_posthog(properties=X)]}),
    "posthog_v1": Message("/i/v1/analytics/events", {"batch": [_posthog(properties=X)]}),
    "amplitude": Message("/2/httpapi", _amplitude(user_id="u", event_properties=X)),
    "amplitude, on PostHog's path": Message(
        "/batch", _amplitude(user_id="u", event_properties={**X, "batch": 1})
    ),
    "mixpanel": Message("/track", _mixpanel("e", distinct_id="u", x=HERE)),
    "mixpanel, a profile": Message("/engage", {"$token": "t", "$distinct_id": "u", "$set": X}),
    "mixpanel_import": Message("/import", [_mixpanel("e", distinct_id="u", x=HERE)]),
    "plausible": Message("/api/event", {"n": "e", "u": "/", "d": "x", "p": X}),
    "umami": Message("/api/send", _umami(data=X)),
    "snowplow": Message(
        SNOWPLOW,
        _snowplow(e="ue", ue_pr={"data": {"schema": "iglu:a/e/jsonschema/1-0-0", "data": X}}),
    ),
    "ga4": Message(GA4, _ga4(params=X, client_id="c")),
    "matomo": Message("/matomo.php", {"requests": [{"idsite": "1", "dimension": X}]}),
    "cloudevents": Message("/cloudevents", _cloud(data=X), CLOUD),
}
"""An event of each product, with a property `x`."""

IDS: dict[str, Message] = {
    "segment, userId": Message("/v1/track", {"event": "e", "userId": HERE, "anonymousId": "a"}),
    "segment, userId alone": Message("/v1/track", {"event": "e", "userId": HERE}),
    "segment, anonymousId": Message(
        "/v1/track", {"event": "e", "userId": "u", "anonymousId": HERE}
    ),
    "segment, previousId": Message("/v1/alias", {"userId": "u", "previousId": HERE}),
    "segment, messageId": Message("/v1/track", {"event": "e", "userId": "u", "messageId": HERE}),
    "segment, sessionId": Message(
        "/v1/track", {"event": "e", "userId": "u", "context": {"sessionId": HERE}}
    ),
    "posthog, distinct_id": Message("/e/", _posthog(distinct_id=HERE)),
    "posthog, the first of two": Message(
        "/e/", _posthog(distinct_id=HERE, properties={"distinct_id": "p"})
    ),
    "posthog, the second": Message(
        "/e/", {"api_key": "k", "event": "e", "properties": {"distinct_id": HERE}}
    ),
    "posthog, uuid": Message("/e/", _posthog(uuid=HERE)),
    "posthog, whose uuid": Message(
        "/e/", _posthog(uuid="0193f0aa-6ad7-5f5c-9c0e-5d7a4c1b2e90", distinct_id=HERE)
    ),
    "posthog, session": Message("/e/", _posthog(properties={"$session_id": HERE})),
    "posthog, session of v1": Message(
        "/i/v1/analytics/events",
        {"batch": [_posthog(session_id=HERE, properties={"$session_id": "s"})]},
    ),
    "posthog, identify": Message(
        "/e/", _posthog("$identify", properties={"$anon_distinct_id": HERE})
    ),
    "posthog, alias": Message("/e/", _posthog("$create_alias", properties={"alias": HERE})),
    "posthog, merge": Message("/e/", _posthog("$merge_dangerously", properties={"alias": HERE})),
    "amplitude, user_id": Message("/2/httpapi", _amplitude(user_id=HERE, device_id="d")),
    "amplitude, device_id": Message(
        "/2/httpapi", _amplitude(user_id="u", device_id=HERE, insert_id="i")
    ),
    "amplitude, device_id alone": Message("/2/httpapi", _amplitude(device_id=HERE)),
    "amplitude, session_id": Message("/2/httpapi", _amplitude(user_id="u", session_id=HERE)),
    "amplitude, insert_id": Message("/2/httpapi", _amplitude(user_id="u", insert_id=HERE)),
    "mixpanel, distinct_id": Message("/track", _mixpanel("e", distinct_id=HERE, _device_id="d")),
    "mixpanel, whose $insert_id": Message(
        "/track", _mixpanel("e", distinct_id=HERE, time=1577836800, _insert_id="i")
    ),
    "mixpanel, $user_id": Message("/track", _mixpanel("e", distinct_id="u", _user_id=HERE)),
    "mixpanel, $device_id": Message("/track", _mixpanel("e", distinct_id="u", _device_id=HERE)),
    "mixpanel, $insert_id": Message(
        "/track", _mixpanel("e", distinct_id="u", time=1577836800, _insert_id=HERE)
    ),
    "mixpanel, $identified_id": Message(
        "/track", _mixpanel("$identify", distinct_id="u", _identified_id=HERE)
    ),
    "mixpanel, $anon_id": Message("/track", _mixpanel("$identify", distinct_id="u", _anon_id=HERE)),
    "mixpanel, alias": Message("/track", _mixpanel("$create_alias", distinct_id="u", alias=HERE)),
    "mixpanel, whose alias": Message(
        "/track", _mixpanel("$create_alias", distinct_id=HERE, alias="u")
    ),
    "mixpanel, merge": Message("/import", [_mixpanel("$merge", _distinct_ids=["u", HERE])]),
    "mixpanel, merge into": Message("/import", [_mixpanel("$merge", _distinct_ids=[HERE, "u"])]),
    "mixpanel, a profile": Message("/engage", {"$distinct_id": HERE, "$set": {"a": 1}}),
    "umami, id": Message("/api/send", _umami(id=HERE)),
    "snowplow, uid": Message(SNOWPLOW, _snowplow(uid=HERE, duid="d")),
    "snowplow, duid": Message(SNOWPLOW, _snowplow(uid="u", duid=HERE, tnuid="n")),
    "snowplow, nuid": Message(SNOWPLOW, _snowplow(duid=HERE, tnuid=HERE, nuid=HERE)),
    "snowplow, sid": Message(SNOWPLOW, _snowplow(uid="u", sid=HERE)),
    "snowplow, eid": Message(SNOWPLOW, _snowplow(uid="u", eid=HERE)),
    "ga4, user_id": Message(GA4, _ga4(user_id=HERE, client_id="c")),
    "ga4, client_id": Message(GA4, _ga4(client_id=HERE)),
    "ga4, the first of two": Message(GA4, _ga4(client_id=HERE, app_instance_id="i")),
    "ga4, session_id": Message(GA4, _ga4(params={"session_id": HERE}, client_id="c")),
    "matomo, uid": Message("/matomo.php", {"requests": [{"idsite": "1", "uid": HERE, "_id": "d"}]}),
    "matomo, _id": Message("/matomo.php", {"requests": [{"idsite": "1", "_id": HERE, "cid": "d"}]}),
    "matomo, cid": Message("/matomo.php", {"requests": [{"idsite": "1", "cid": HERE}]}),
    "cloudevents, userid": Message("/cloudevents", _cloud(userid=HERE), CLOUD),
    "cloudevents, the first of two": Message(
        "/cloudevents", _cloud(userid=HERE, authid="u"), CLOUD
    ),
    "cloudevents, sessionid": Message("/cloudevents", _cloud(userid="u", sessionid=HERE), CLOUD),
}
"""An event of each product that sends ids, with a place for each of them."""

WITHOUT_IDS = ("plausible",)
"""Products that send neither people nor ids of events."""
