"""Projects and keys: who may do what.

`key.py`       a key, and what it opens          `key_cache.py`  from a token to its key, cached
`register.py`  both as the database has them
"""

from analytics.projects.key import SCOPES, Key, authorize, digest
from analytics.projects.key_cache import Keys, Source
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

__all__ = [
    "SCOPES",
    "DatabaseKeys",
    "Key",
    "Keys",
    "Source",
    "authorize",
    "create_key",
    "create_project",
    "digest",
    "is_project",
    "list_keys",
    "list_projects",
    "open_engine",
    "revoke_key",
]
