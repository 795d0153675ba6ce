"""The commands of `analytics`, one a file; the table in cli.py lists them. What they share:

`servers.py`  the servers that a command works on   `span.py`     spans of time, such as 30d
`output.py`   tables and JSON, printed              `tables.py`   tables from an answer of the api
`cells.py`    numbers and times as people read them `layout.py`   tables that fit a terminal
`address.py`  where this machine reaches a role     `nearest.py`  the name that was meant
`api_client.py`  questions to an api over HTTP      `finding.py`  a line of what the doctor reports
`ports.py`    what listens on the roles' ports
"""

import msgspec

from analytics import embedded, logs
from analytics.settings import Settings, load


def connected() -> Settings:
    """The settings, after setting up logging.

    In development, when neither REDIS_URL nor DATABASE_URL is set, they are those of the
    `analytics run` that runs in DATA_DIR, if any.
    """
    settings = load()
    logs.setup(settings)
    if settings.production or settings.redis_url or settings.database_url:
        return settings
    servers = embedded.running(settings.data_dir)
    if servers is None:
        return settings
    return msgspec.structs.replace(
        settings, redis_url=servers.redis_url, database_url=servers.database_url
    )
