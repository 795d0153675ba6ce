"""The address of a page, as every protocol sends it."""

from typing import Any

from tests.collecting import GOOD

SENT: dict[str, tuple[str, Any]] = {
    "ours": ("/collect", GOOD | {"metadata": {"$url": "ADDRESS"}}),
    "Plausible": ("/api/event", {"n": "pageview", "u": "ADDRESS", "d": "shop.example"}),
    "Umami": ("/api/send", {"type": "event", "payload": {"website": "w", "url": "ADDRESS"}}),
    "Segment": ("/v1/page", {"userId": "u", "context": {"page": {"url": "ADDRESS"}}}),
    "PostHog": ("/e", {"api_key": "k", "event": "e", "properties": {"$current_url": "ADDRESS"}}),
    "Mixpanel": (
        "/track",
        {"event": "e", "properties": {"token": "t", "distinct_id": "d", "$current_url": "ADDRESS"}},
    ),
    "Amplitude": (
        "/2/httpapi",
        {
            "api_key": "k",
            "events": [
                {
                    "event_type": "[Amplitude] Page Viewed",
                    "device_id": "d",
                    "event_properties": {"[Amplitude] Page URL": "ADDRESS"},
                }
            ],
        },
    ),
    "Snowplow": (
        "/com.snowplowanalytics.snowplow/tp2",
        {"data": [{"e": "pv", "aid": "a", "url": "ADDRESS"}]},
    ),
    "GA4": (
        "/mp/collect",
        {
            "client_id": "c",
            "events": [{"name": "page_view", "params": {"page_location": "ADDRESS"}}],
        },
    ),
    "Matomo": ("/matomo.php", {"requests": ["?idsite=1&rec=1&url=ADDRESS"]}),
}
"""Protocol → a path, and a body with a page in it."""
