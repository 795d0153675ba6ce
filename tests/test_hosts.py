"""Host names and origins: every spelling is what browsers send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import hosts
from tests.examples import examples

SENT = {
    "shop.example": "shop.example",
    "Shop.Example": "shop.example",
    "my_shop.example": "my_shop.example",
    "münchen.example": "xn--mnchen-3ya.example",
    "MÜNCHEN.example": "xn--mnchen-3ya.example",
    "mu\u0308nchen.example": "xn--mnchen-3ya.example",
    "xn--mnchen-3ya.example": "xn--mnchen-3ya.example",
    "XN--MNCHEN-3YA.example": "xn--mnchen-3ya.example",
    "m%C3%BCnchen.example": "xn--mnchen-3ya.example",
    "sh%6Fp.example": "shop.example",
    "xn--mnchen-3ya.straße.de": "xn--mnchen-3ya.xn--strae-oqa.de",
    "straße.example": "xn--strae-oqa.example",
    "faß.de": "xn--fa-hia.de",
    "βόλος.com": "xn--nxasmm1c.com",
    "ｓｈｏｐ.example": "shop.example",
    "例え。テスト": "xn--r8jz45g.xn--zckzah",
    "пример.рф": "xn--e1afmkfd.xn--p1ai",
    "نامه\u200cای.com": "xn--mgba3gch31f060k.com",
    "भारत.भारत": "xn--h2brj9c.xn--h2brj9c",
    "💩.la": "xn--ls8h.la",
    "ü_x.example": "xn--_x-wka.example",
    "127.0.0.1": "127.0.0.1",
    "fe80::1%eth0": "fe80::1%eth0",
    "": "",
}
"""Spelling → what `new URL(…).hostname` is of it in browsers."""

BAD = (
    f"{'ü' * 60}.example",
    f"{'日' * 63}.example",
    f"{'ü.' * 40}example",
    f"{'ü' * 30}." * 8 + "example",
    "ü..example",
    ".ü.example",
    "ü .example",
    "ü/x.example",
    "℀.example",
    "2⒈ü.example",
    "%00ü.example",
    "ü%.example",
    "m%fcnchen.example",
    "ü\ud800.example",
    "ü" * 100_000,
)


@pytest.mark.parametrize(("host", "sent"), SENT.items())
def test_a_host_is_what_browsers_send(host: str, sent: str) -> None:
    assert hosts.canonical(host) == sent


@pytest.mark.parametrize("host", BAD, ids=lambda host: ascii(host[:12]))
def test_a_name_that_none_can_have_stays_as_it_is(host: str) -> None:
    assert hosts.canonical(host) == host


def test_a_text_too_long_for_a_name_is_not_looked_into() -> None:
    long, longest = (f"{'%C3%BC' * number}.example" for number in (49, 48))
    assert hosts.canonical(long) == long.lower()
    assert hosts.canonical(longest).startswith("xn--")


@examples(500)
@given(st.text(max_size=80).map(lambda text: f"ü{text}.example") | st.text())
def test_any_text_has_one_form(host: str) -> None:
    form = hosts.canonical(host)
    assert hosts.canonical(form) == form
    assert form.isascii() or form == host.lower()


@pytest.mark.parametrize(
    ("text", "sent"),
    {
        "https://shop.example": "https://shop.example",
        "HTTPS://Shop.example:8443": "https://shop.example:8443",
        "https://shop.example:443": "https://shop.example",
        "https://shop.example:08443": "https://shop.example:8443",
        "http://shop.example:80": "http://shop.example",
        "http://shop.example:443": "http://shop.example:443",
        "http://[::1]:3000": "http://[::1]:3000",
        "https://münchen.example:3000": "https://xn--mnchen-3ya.example:3000",
        "app://Shop": "app://shop",
        "HTTPS://Shop.Example/": "https://shop.example",
        "http://my_shop.example": "http://my_shop.example",
        "capacitor://localhost": "capacitor://localhost",
        "chrome-extension://abcdefgh": "chrome-extension://abcdefgh",
    }.items(),
)
def test_an_origin_is_what_browsers_send(text: str, sent: str) -> None:
    assert hosts.origin(text) == sent
    assert hosts.origin(sent) == sent


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "null",
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
def test_what_no_browser_sends_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        hosts.origin(text)
