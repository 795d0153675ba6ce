"""Origins: what a browser would send, whichever way it is written; anything else is refused."""

import pytest

from analytics import origins


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80/", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://my_shop.example", "http://my_shop.example"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
    ],
)
def test_an_origin_is_kept_as_a_browser_sends_it(text: str, origin: str) -> None:
    assert origins.read(text) == origin
    assert origins.read(origin) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "shop.example",
        "//shop.example",
        "https://",
        "https://shop.example/path",
        "https://shop.example?a=b",
        "https://ada:secret@shop.example",
        "https://*.shop.example",
        "https://shop.example:",
        "https://shop.example:65536",
        "https://shop.example:port",
        "https://shop.example\n",
        "https://a.example https://b.example",
        "http://[::1",
        "http://::1",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        origins.read(text)
