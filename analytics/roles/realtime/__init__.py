"""Realtime: events as they are stored, over a WebSocket or server-sent events (SSE).

`realtime.py`   the routes                      `admission.py`      who may connect, and until when
`sockets.py`    a reader on a WebSocket         `server_sent.py`    a reader on an SSE stream
`requests.py`   what readers send               `messages.py`       what readers get
`channels.py`   a subscription to a channel     `subscriptions.py`  all subscriptions of one reader
`outbox.py`     messages waiting for a reader
"""

from analytics.roles.realtime.realtime import ROLE, create

__all__ = ["ROLE", "create"]
