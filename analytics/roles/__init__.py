"""The four roles: collector, processor, api, realtime. Each module has `ROLE`, and `create()` for
an ASGI server of your choice.

`collector/`    takes events in              `processor.py`  stores batches, publishes them
`realtime/`     shows events as they come    `api.py`        answers questions
`http/`         what every role's HTTP side shares
"""
