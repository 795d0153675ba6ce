"""The commands of `analytics`, one a file; the table in cli.py lists them. What they share:

`servers.py`  the servers that a command works on   `span.py`     spans of time, such as 30d
`output.py`   tables and JSON, printed              `tables.py`   tables from an answer of the api
`cells.py`    numbers and times as people read them `layout.py`   tables that fit a terminal
`address.py`  where this machine reaches a role     `nearest.py`  the name that was meant
`api_client.py`  questions to an api over HTTP      `finding.py`  a line of what the doctor reports
`typed.py`    options as they were typed        `ports.py`    what listens on the roles' ports
`redis_server.py`, `postgres_server.py`  what the doctor says of them
"""

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from analytics import embedded, logs
from analytics.errors import ConfigurationError
from analytics.settings import Settings, data_folder, is_set, load, misspelt

log = logging.getLogger(__name__)


def configured(roles: Sequence[str] = ()) -> Settings:
    """The settings, after setting up logging and warning of variables that look misspelt.

    Raises ConfigurationError for all that is wrong, and for all that keeps `roles` from running.
    """
    settings = load(roles=roles)
    logs.setup(settings)
    for warning in misspelt():
        log.warning(warning)
    return settings


def connected() -> Settings:
    """The settings, after setting up logging.

    In development, when neither REDIS_URL nor DATABASE_URL is set, the servers are those of the
    `analytics run` that runs here, if any. Raises CommandError when they do not run now; see also
    `here`.
    """
    settings, run = here(configured())
    if run is None:
        return settings
    run.check_servers()
    return msgspec.structs.replace(settings, redis_url=run.redis_url, database_url=run.database_url)


def here(settings: Settings) -> tuple[Settings, embedded.Running | None]:
    """The `analytics run` of this user, if any, and the settings with its folder, host and ports.

    DATA_DIR says which, where it is set. Raises ConfigurationError when it is not and several run.
    """
    if not settings.embedded:
        return settings, None
    if is_set("DATA_DIR"):
        run = embedded.running(settings.data_dir)
        found = {settings.data_dir: run} if run else {}
    else:
        found = embedded.found(data_folder())
    if len(found) > 1:
        folders = ", ".join(f"DATA_DIR={folder}" for folder in found)
        raise ConfigurationError(
            f"{len(found)} platforms run here; set one of {folders}", field="DATA_DIR"
        )
    for folder, run in found.items():
        places = {role: urlsplit(f"//{place}") for role, place in run.roles.items()}
        ports = {f"{role}_port": place.port for role, place in places.items()}
        host = next((place.hostname for place in places.values()), settings.host)
        changed = msgspec.structs.replace(settings, data_dir=folder, host=host, port=None, **ports)
        return changed, run
    return settings, None
