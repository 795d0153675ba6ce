"""From bytes to events, and the reply that a client library expects.

No I/O: the caller brings the bytes and the time. Each protocol is one file, and one line here. If
several have the same path, the first one gets its requests, except those that a later one claims.
They share these files:

`protocol.py`   what a protocol is                    `bodies.py`     forms, base64, JSON lines
`validate.py`   what a valid event is                 `metadata.py`   whether metadata can be stored
`characters.py` what no text may have                 `clock.py`      when an event happened
`ids.py`        others' ids, and those we make        `universal.py`  replies for every library
`numbers.py`    numbers in one form                   `times.py`      times as others write them
`translate.py`  others' events as our own             `fields.py`     others' fields for them
"""

from analytics.protocols.amplitude import AMPLITUDE
from analytics.protocols.cloudevents import CLOUDEVENTS
from analytics.protocols.ga4 import GA4
from analytics.protocols.matomo import MATOMO
from analytics.protocols.mixpanel import MIXPANEL, MIXPANEL_IMPORT
from analytics.protocols.native import NATIVE
from analytics.protocols.pixel import PIXEL
from analytics.protocols.plausible import PLAUSIBLE
from analytics.protocols.posthog import POSTHOG, POSTHOG_V1
from analytics.protocols.protocol import (
    Decoded,
    Draft,
    Incoming,
    Projects,
    Protocol,
    Rejection,
    Reply,
)
from analytics.protocols.segment import SEGMENT
from analytics.protocols.snowplow import SNOWPLOW
from analytics.protocols.umami import UMAMI

PROTOCOLS: tuple[Protocol, ...] = (
    NATIVE,
    PIXEL,
    SEGMENT,
    POSTHOG,
    POSTHOG_V1,
    AMPLITUDE,
    MIXPANEL,
    MIXPANEL_IMPORT,
    PLAUSIBLE,
    UMAMI,
    SNOWPLOW,
    GA4,
    MATOMO,
    CLOUDEVENTS,
)

__all__ = [
    "NATIVE",
    "PROTOCOLS",
    "Decoded",
    "Draft",
    "Incoming",
    "Projects",
    "Protocol",
    "Rejection",
    "Reply",
]
