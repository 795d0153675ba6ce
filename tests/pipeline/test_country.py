"""The visitor's country: by a header that the operator named, or by the address."""

import pytest

from analytics.pipeline import Rules
from tests.pipeline.cases import Cases, assert_puts
from tests.visits import ADDRESS, SERVER, browsing

CASES: Cases = {
    "a country header nobody named": ({}, browsing(cf_ipcountry="AT"), {"$country": None}),
    "a country header": (
        {},
        browsing(Rules(country_header=b"cf-ipcountry"), cf_ipcountry="at"),
        {"$country": "AT"},
    ),
    "Tor is no country": (
        {},
        browsing(Rules(country_header=b"cf-ipcountry"), cf_ipcountry="T1"),
        {"$country": None},
    ),
    "a country by address": ({}, browsing(Rules(country={ADDRESS: "NZ"}.get)), {"$country": "NZ"}),
    "a country by an address spelt otherwise": (
        {"$ip": f"[::ffff:{ADDRESS}]:443"},
        browsing(Rules(country={ADDRESS: "NZ"}.get), address="192.0.2.9"),
        {"$country": "NZ"},
    ),
    "a country by an SDK's address": (
        {"$ip": "192.0.2.9"},
        SERVER,
        {"$country": None, "$ip": None},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])
