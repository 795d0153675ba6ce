"""`analytics losses`, and what the doctor says of a loss."""

import json
import re
from pathlib import Path

import pytest
from redis import Redis

from analytics.embedded import Valkey
from analytics.epoch import Epoch
from analytics.queue import scripts
from analytics.stores.upkeep import epoch
from tests.stores.conftest import NOW, ago, connected
from tests.test_cli import analytics

SINCE = f"{ago(hours=1):%Y-%m-%d %H:%M}Z"


@pytest.fixture
def environment(migrated_url: str, valkey_server: Valkey, tmp_path: Path) -> dict[str, str]:
    with Redis.from_url(valkey_server.url) as redis:
        redis.flushall()
        redis.set(scripts.EPOCH, "e:7")
    return {
        "DATABASE_URL": migrated_url,
        "REDIS_URL": valkey_server.url,
        "DATA_DIR": str(tmp_path),
    }


async def hold(url: str, **changes: object) -> None:
    """The row of the epoch, of which Redis holds the mark; changed."""
    values = {"epoch": "e", "turn": 7, "seen_at": NOW, "sure_until": ago(hours=1), **changes}
    async with connected(url) as connection:
        await connection.execute(epoch.WRITE, *map(values.get, Epoch.__struct_fields__))


def found(environment: dict[str, str]) -> tuple[str, str]:
    """What the doctor says of losses: its mark and its words."""
    done = analytics("doctor", "--role=processor", **environment)
    line = re.search(r"^(.) losses +(.*)$", done.stdout, re.M)
    assert line, done.stdout
    assert (done.returncode == 1) == (line[1] == "✗" or "\n✗" in done.stdout)
    return line[1], line[2]


async def test_a_loss_is_shown_named_by_the_doctor_and_acknowledged(
    environment: dict[str, str],
) -> None:
    how = {"lost_from": ago(hours=1), "lost_at": NOW, "lost_how": "Redis came back empty"}
    await hold(environment["DATABASE_URL"], **how)
    loss = f"events acknowledged after {SINCE} may be lost: Redis came back empty, found at"
    mark, text = found(environment)
    assert mark == "✗"
    assert text.startswith(loss)
    assert "`analytics losses acknowledge`" in text
    assert analytics("losses", "show", **environment).stdout.startswith(loss)
    shown = json.loads(analytics("losses", "show", "--json", **environment).stdout)
    assert shown["how"] == "Redis came back empty"
    done = analytics("losses", "acknowledge", **environment)
    assert done.stdout.startswith(f"acknowledged: {loss}")
    assert found(environment)[0] == "✓"
    assert analytics("losses", "show", **environment).stdout == "no loss is known\n"
    again = analytics("losses", "acknowledge", **environment)
    assert (again.returncode, again.stdout) == (1, "")
    assert "no loss is known" in again.stderr


async def test_the_doctor_sees_a_loss_before_any_processor_does(
    environment: dict[str, str],
) -> None:
    assert found(environment)[0] == "!", "no processor has begun"
    await hold(environment["DATABASE_URL"])
    assert found(environment)[0] == "✓"
    with Redis.from_url(environment["REDIS_URL"]) as redis:
        redis.flushall()
    mark, text = found(environment)
    assert mark == "✗"
    assert f"acknowledged after {SINCE} may be lost: Redis came back empty" in text
