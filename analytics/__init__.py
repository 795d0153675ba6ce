"""Self-hosted event analytics. The tour follows an event on its way:

`roles/collector/`  accepts it: `protocols/` decode and check, `pipeline/` adds facts and drops,
                    `queue/` makes it durable
`roles/processor.py`  stores it: `queue/` hands out, `stores/` commit, `live/` publishes
`roles/api.py`  answers questions about it: `queries/`, one file for each question
`roles/realtime/`  shows it as it comes
`server.py`  serves the roles of a process; `cli.py` starts everything
"""

__version__ = "1.0.0"
