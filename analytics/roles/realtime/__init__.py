"""Realtime: events as they are stored, over a WebSocket or server-sent events.

`realtime.py`       the routes                       `admission.py`    who may listen, and until when
`sockets.py`        a reader over a WebSocket        `server_sent.py`  a reader over server-sent events
`subscriptions.py`  what readers subscribe to        `outbox.py`       messages that wait for one reader
"""

from analytics.roles.realtime.realtime import app, create

__all__ = ["app", "create"]
