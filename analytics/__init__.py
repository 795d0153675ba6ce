"""Self-hosted event analytics. The tour, in reading order, is an event's way:

`roles/collector.py`  takes it in: `protocols/` decode it, `pipeline/` steps over it, `queue/` makes
it durable `roles/processor.py`  takes it on: `queue/` hands it out once, `stores/` commit it,
`live/` tells who listens
`roles/api.py`        answers: each file of `queries/` is one question
`roles/realtime.py`   shows it live
`server.py` runs the roles of a process; `cli.py` starts it all.
"""

__version__ = "1.0.0"
