"""The commands of `analytics`, one a file; the table in cli.py lists them."""

import msgspec

from analytics import embedded, logs
from analytics.settings import Settings, load


def connected() -> Settings:
    """The settings, with logging set up; in development the servers of a running `analytics run`
    stand in for URLs that are not set.
    """
    settings = load()
    logs.setup(settings)
    if settings.production or settings.redis_url or settings.database_url:
        return settings
    found = embedded.running(settings.data_dir)
    return (
        settings
        if found is None
        else msgspec.structs.replace(
            settings, redis_url=found.redis_url, database_url=found.database_url
        )
    )
