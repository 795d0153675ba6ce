"""The four roles. Each module has `app(settings)`, and `create()` for an ASGI server of the operator's choice.

`collector.py`      every protocol's routes, before one queue   `desk.py`         who may send, and into which project
`body.py`           a request's body, to its end                `inflate.py`      as its sender meant it
`limits.py`         so many requests a second                   `cors.py`         whose pages may send
`countries.py`      addresses → countries                       `script.py`       the browser tracker
`processor.py`      batch → store → publish                     `api.py`          each question at its address
`realtime.py`       what is stored, shown                       `lobby.py`        who may listen, and until when
`sockets.py`        a reader over a WebSocket                   `server_sent.py`  a reader over HTTP alone
`subscriptions.py`  what readers subscribe to                   `outbox.py`       what waits for one of them
`http.py`           health, metrics, error → status             `peers.py`        who is really at the other end
"""
