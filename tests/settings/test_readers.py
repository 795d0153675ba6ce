"""Texts of variables that are read, or refused, at the edge; `test_table.py` has each setting."""

from collections.abc import Callable

import pytest

from analytics.settings import readers

SERVER = readers.url("redis", "unix")


@pytest.mark.parametrize(
    "text",
    [
        "redis://[::1]",
        "redis://[::1]:6379/0",
        "redis://:p:w@[fe80::1]/0",
        "redis://a,b:6379,[::1],[::1]:1/0",
        "redis://redis:/0",
        "unix:///run/redis.sock",
    ],
)
def test_hosts_of_a_url_may_have_ports(text: str) -> None:
    assert SERVER(text) == text


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (SERVER, "redis://a,[::1]:x/0"),
        (SERVER, "redis://redis:65536"),
        (readers.paths, "/é.js"),
        (readers.paths, "/a//b"),
        (readers.paths, "/"),
        (readers.whole, "٣"),
        (readers.whole, "1_000"),
        (readers.whole, "1" * 19),
        (readers.ratio, "nan"),
        (readers.ratio, "0"),
        (readers.header, "CF-Ländercode"),
    ],
)
def test_what_only_looks_right_is_refused(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"must|cannot"):
        read(text)
