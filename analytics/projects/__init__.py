"""Projects and API keys: who may do what.

`key.py`             an API key and what it opens
`key_cache.py`       from a token to its key, cached
`known_projects.py`  which projects exist, cached
`register.py`        projects and keys in the database
"""

from analytics.projects.key import SCOPES, ApiKey, authorize, digest
from analytics.projects.key_cache import KeyCache, KeyTable
from analytics.projects.known_projects import KnownProjects
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
    "ApiKey",
    "DatabaseKeys",
    "KeyCache",
    "KeyTable",
    "KnownProjects",
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
