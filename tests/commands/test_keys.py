"""`analytics keys` as a shell runs it, on real servers."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis as AsyncRedis

from analytics import cli
from analytics.embedded import Valkey
from analytics.errors import Unauthorized
from analytics.projects import KeyCache
from analytics.redis import RedisKeys
from tests.commands.shell import Run, complaint

TOKEN = re.compile(r"ak_[wra]_[\w-]{43}")


@pytest.fixture
async def keys(valkey_server: Valkey) -> AsyncIterator[KeyCache]:
    """The keys as a role without a database knows them."""
    redis = AsyncRedis.from_url(valkey_server.url)
    yield KeyCache(RedisKeys(redis))
    await redis.aclose()


async def test_a_made_key_is_printed_alone_and_works_at_once_for_roles_without_a_database(
    analytics: Run, keys: KeyCache
) -> None:
    analytics("projects", "create", "shop")
    done = analytics(
        "keys",
        "create",
        "--project",
        "shop",
        "--scope",
        "ingest",
        "--origin",
        "https://Shop.example:443/",
        "--origin",
        "https://München.example",
        "--expires",
        "30d",
        "--name",
        "web",
    )
    token = done.stdout.strip()
    assert TOKEN.fullmatch(token)
    assert "shown only now" in done.stderr
    key = await keys.find(token)
    assert (key.project, key.scopes, key.origins, key.name) == (
        "shop",
        frozenset({"ingest"}),
        ("https://shop.example", "https://xn--mnchen-3ya.example"),
        "web",
    )
    assert key.expires_at is not None
    assert abs(key.expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=10)


async def test_another_products_token_becomes_a_key_that_may_only_write(
    analytics: Run, keys: KeyCache
) -> None:
    analytics("projects", "create", "shop")
    make = ("keys", "create", "--project", "shop", "--token", "phc_abc", "--scope")
    done = analytics(*make, "ingest")
    assert (done.stdout, "shown only now" in done.stderr) == ("phc_abc\n", False)
    assert ((await keys.find("phc_abc")).project, (await keys.find("phc_abc")).scopes) == (
        "shop",
        frozenset({"ingest"}),
    )
    assert "a key already" in complaint(analytics(*make, "ingest", status=1))
    assert "no other" in complaint(analytics(*make, "query", status=1))
    assert "characters" in complaint(
        analytics("keys", "create", "--scope", "ingest", "--token", " ", status=1)
    )


async def test_a_revoked_key_is_refused_at_once_by_who_has_not_seen_it(
    analytics: Run, keys: KeyCache
) -> None:
    token = analytics("keys", "create", "--scope", "query", "--scope", "realtime").stdout.strip()
    assert "revoked key 1" in analytics("keys", "revoke", token[:12]).stdout
    with pytest.raises(Unauthorized):
        await keys.find(token)


def test_the_list_shows_all_but_the_text(analytics: Run) -> None:
    analytics("projects", "create", "shop")
    token = analytics(
        "keys", "create", "--scope", "ingest", "--project", "shop", "--name", "web"
    ).stdout.strip()
    analytics("keys", "create", "--scope", "query", "--all-projects", "--expires", "2099-01-31")
    analytics("keys", "revoke", "1")
    shown = analytics("keys", "list", COLUMNS="150").stdout
    lines = [line.split() for line in shown.splitlines()]
    assert lines[0] == [
        "ID",
        "KEY",
        "PROJECT",
        "SCOPES",
        "STATE",
        "CREATED",
        "EXPIRES",
        "ORIGINS",
        "NAME",
    ]
    assert lines[1][:5] == ["1", f"{token[:12]}…", "shop", "ingest", "revoked"]
    assert lines[1][-1] == "web"
    assert lines[2][2:5] == ["(every)", "query", "active"]
    assert "2099-01-31 00:00Z" in shown
    assert token not in shown
    listed = json.loads(analytics("keys", "list", "--json").stdout)
    assert [(key["id"], key["project"], key["scopes"], key["state"]) for key in listed] == [
        (1, "shop", ["ingest"], "revoked"),
        (2, None, ["query"], "active"),
    ]
    assert token not in json.dumps(listed)


def test_a_key_as_json_holds_its_text(analytics: Run) -> None:
    made = json.loads(analytics("keys", "create", "--scope", "admin", "--json").stdout)
    assert TOKEN.fullmatch(made["key"])
    assert (made["project"], made["scopes"], made["expires_at"]) == ("default", ["admin"], None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--scope"),
        (["--scope", "everything"], "everything"),
        (["--scope", "ingest", "--expires", "soon"], "30d"),
        (["--scope", "ingest", "--expires", "2020-01-01"], "past"),
        (["--scope", "ingest", "--expires", "0d"], "past"),
        (["--scope", "ingest", "--project", "shop", "--all-projects"], "exclude"),
        (["--scope", "ingest", "--origin", "shop.example"], "origin"),
        (["--scope", "ingest", "--origin", "https://shop.example/path"], "origin"),
        (["--scope", "ingest", "--origin", "http://[::1"], "origin"),
        (["--scope", "ingest", "--name", "x" * 101], "100"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["keys", "create", *arguments])
    shown = capsys.readouterr()
    assert (end.value.code, shown.out, len(shown.err.splitlines())) == (2, "", 1)
    assert said in shown.err


def test_what_is_not_there_is_one_line_and_exit_status_1(analytics: Run) -> None:
    assert "analytics projects create typo" in complaint(
        analytics("keys", "create", "--scope", "ingest", "--project", "typo", status=1)
    )
    assert "analytics keys list" in complaint(analytics("keys", "revoke", "77", status=1))
    token = analytics("keys", "create", "--scope", "ingest").stdout.strip()
    assert "name the key by its id" in complaint(analytics("keys", "revoke", "", status=1))
    assert "revoked key 1" in analytics("keys", "revoke", token).stdout
    assert "letters" in complaint(analytics("projects", "create", "a b", status=1))


def test_with_redis_away_the_key_is_made_and_shown_all_the_same(analytics: Run) -> None:
    done = analytics(
        "keys", "create", "--scope", "ingest", REDIS_URL="redis://:hunter2@127.0.0.1:1/0"
    )
    assert TOKEN.fullmatch(done.stdout.strip())
    assert "Redis could not be updated" in done.stderr
    assert "hunter2" not in done.stderr
    assert len(json.loads(analytics("keys", "list", "--json").stdout)) == 1
