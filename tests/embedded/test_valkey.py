"""The embedded Valkey: its own password, and settings that an option replaces."""

import stat
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from analytics.embedded import Valkey


def test_an_option_replaces_a_setting_and_the_others_stay(folder: Path) -> None:
    server = Valkey(folder, password="test-password", maxmemory="64mb")
    server.start()
    try:
        with Redis(port=server.port, password=server.password, decode_responses=True) as redis:
            settings = redis.config_get("maxmemory", "maxmemory-policy", "appendfsync", "bind")
        assert settings == {
            "maxmemory": str(64 << 20),
            "maxmemory-policy": "noeviction",
            "appendfsync": "always",
            "bind": "127.0.0.1",
        }
        with Redis(port=server.port) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
        assert stat.S_IMODE((folder / "valkey.conf").stat().st_mode) == 0o600
    finally:
        server.stop()
