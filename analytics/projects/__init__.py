"""Projects and keys: who may do what.

`key.py`       a key, and what it opens          `verdicts.py`   from a token to its key, cached
`register.py`  both as the database has them     `mirroring.py`  the keys in Redis, for roles without a database
"""

from analytics.projects.key import SCOPES, Key, authorize, digest
from analytics.projects.mirroring import RedisKeys, mirror
from analytics.projects.register import (
    DatabaseKeys,
    create_key,
    create_project,
    is_project,
    list_keys,
    list_projects,
    open_engine,
    revoke_key,
)
from analytics.projects.verdicts import Keys, Source

__all__ = [
    "SCOPES",
    "DatabaseKeys",
    "Key",
    "Keys",
    "RedisKeys",
    "Source",
    "authorize",
    "create_key",
    "create_project",
    "digest",
    "is_project",
    "list_keys",
    "list_projects",
    "mirror",
    "open_engine",
    "revoke_key",
]
