"""Self-hosted event analytics. The tour follows an event on its way, then looks around.

`roles/`  four ASGI apps: `roles/collector/` accepts an event, `roles/processor.py` stores it,
          `roles/api.py` answers questions about it, `roles/realtime/` shows it as it comes

The collector uses these:

`protocols/`  decode and check      `pipeline/`  adds facts and drops
`tracker/`    the script for pages  `queue/`     makes events durable, and hands them out

The others use these:

`stores/`   commit events              `live/`     publishes them
`queries/`  one file for each question

All of them use these:

`derived/`    formats of rollups and packed days   `events.py`    the shape of an event
`projects/`   projects and API keys                `tables.py`    the tables
`redis/`      Redis besides the queue              `settings/`    every setting
`metrics.py`  every metric                         `errors.py`    all errors
`logs.py`     logs without secrets                 `spans.py`     spans of time like 30d
`tasks.py`    running and ending tasks             `lru.py`       a mapping of bounded size
`file_lock.py`  one process at a time              `ip.py`        IP addresses, however written
`openapi.py`  the parts of openapi.json            `terminal.py`  what a terminal may show
`formulas.py`   cells of CSV that are none         `zones.py`     zones and local times
`private_files.py`  of this user alone             `connection_errors.py`  lost connections
`hosts.py`    names of hosts as sent          `epoch.py`      whether a store lost its data
`placeholders.py`  words in place of an id

This is how it is started and fed:

`cli.py`        the command line, which `__main__.py` calls   `commands/`   its commands
`server.py`     serves the roles of a process                 `importing/`  files into the queue
`embedded/`     servers for development                       `client.py`   for Python services
`served_app.py` one app under hypercorn
"""

__version__ = "1.0.0"
