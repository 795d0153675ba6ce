"""Shared by the tests of keys: a key, a table of keys, a clock that stands still."""

import time

from analytics import projects
from analytics.errors import Unavailable
from analytics.projects import ApiKey


class Shelf:
    """A key table that counts its lookups, and can have an outage."""

    def __init__(self, *keys: tuple[str, ApiKey]) -> None:
        self.keys = {projects.digest(token): key for token, key in keys}
        self.asked = 0
        self.out = False

    async def find(self, digest: bytes) -> ApiKey | None:
        self.asked += 1
        if self.out:
            raise Unavailable("out")
        return self.keys.get(digest)


def a_key(**changes: object) -> ApiKey:
    fields = {
        "id": 1,
        "prefix": "ak_w_xxxxxxx",
        "project": "shop",
        "scopes": frozenset({"ingest"}),
    } | changes
    return ApiKey(**fields)  # type: ignore[arg-type]


class Clock:
    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now
