"""`analytics projects` as a shell runs it, on a real database."""

import json

from redis import Redis

from analytics.embedded import Valkey
from analytics.redis import key_mirror
from tests.commands.shell import Run


def test_projects_are_made_once_and_listed(analytics: Run) -> None:
    assert "made project shop" in analytics("projects", "create", "shop").stdout
    assert "already" in analytics("projects", "create", "shop", status=1).stderr
    assert "shop" in analytics("projects", "list").stdout
    assert "shop" in [
        project["name"] for project in json.loads(analytics("projects", "list", "--json").stdout)
    ]


def test_realtime_knows_a_new_project_at_once(analytics: Run, valkey_server: Valkey) -> None:
    analytics("projects", "create", "shop")
    with Redis.from_url(valkey_server.url) as redis:
        assert redis.smembers(key_mirror.PROJECTS) == {b"default", b"shop"}


def test_a_project_is_made_without_redis_too(analytics: Run) -> None:
    done = analytics("projects", "create", "shop", REDIS_URL="redis://127.0.0.1:1")
    assert "made project shop" in done.stdout
    assert "the processor updates it" in done.stderr
