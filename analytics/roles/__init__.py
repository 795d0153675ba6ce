"""The four roles: collector, processor, api, realtime.

Each module has `ROLE`, and `create()` for an ASGI server of your choice.

`collector/`  takes events in               `processor.py`  stores them, then publishes them
`realtime/`   streams events to browsers    `api.py`        answers questions
`http/`       what every role's HTTP side shares
`reference/`  openapi.json, and the page to read it by
"""
