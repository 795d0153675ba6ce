"""Countries by a file in MaxMind's format: read by its real reader, and through the collector."""

import json
from pathlib import Path
from typing import Any

import pytest

from analytics.errors import ConfigurationError
from analytics.roles.collector.geoip import open_countries
from tests import maxmind
from tests.collecting import running
from tests.visits import CHROME

RECORDS: dict[str, Any] = {
    "203.0.113.0/24": {
        "country": {"iso_code": "NZ"},
        "registered_country": {"iso_code": "US"},
        "city": {"names": {"en": "Auckland"}},
    },
    "198.51.100.64/26": {"registered_country": {"iso_code": "AT"}},
    "192.0.2.0/24": {"continent": {"code": "EU"}},
    "192.0.3.0/24": {"country": {"iso_code": 7}},
    "192.0.4.0/24": ["no map"],
    "2001:db8:1::/48": {"country": {"iso_code": "PT"}},
}
PAGE = {"n": "pageview", "u": "https://shop.example/", "d": "shop.example"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "countries.mmdb"
    path.write_bytes(maxmind.file(RECORDS))
    return path


@pytest.mark.parametrize(
    ("address", "country"),
    {
        "203.0.113.77": "NZ",
        "203.0.114.1": None,
        "198.51.100.65": "AT",
        "198.51.100.63": None,
        "192.0.2.1": None,
        "192.0.3.1": None,
        "192.0.4.1": None,
        "2001:db8:1::7": "PT",
        "2001:db8:2::7": None,
        "127.0.0.1": None,
        "": None,
        "no address": None,
    }.items(),
)
def test_an_address_has_the_country_of_its_network_where_the_file_knows_one(
    file: Path, address: str, country: str | None
) -> None:
    assert open_countries(file)(address) == country


@pytest.mark.parametrize(
    "content",
    [None, b"", b"not MaxMind's", maxmind.file(RECORDS)[:-40]],
    ids=["missing", "empty", "something else", "cut off"],
)
def test_a_file_that_cannot_be_read_is_a_mistake_of_the_operator(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "countries.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        open_countries(path)
    assert refused.value.field == "GEOIP_FILE"


def test_a_file_that_is_damaged_inside_answers_nothing(tmp_path: Path) -> None:
    path = tmp_path / "countries.mmdb"
    whole = maxmind.file(RECORDS)
    path.write_bytes(whole.replace(b"iso_code", b"\xff" * 8))
    assert path.read_bytes() != whole
    assert open_countries(path)("203.0.113.77") is None


@pytest.mark.parametrize(
    ("address", "country"), [("203.0.113.77", "NZ"), ("2001:db8:1::7", "PT"), ("192.0.2.1", None)]
)
async def test_a_page_view_has_its_visitors_country_and_not_the_address(
    file: Path, address: str, country: str | None
) -> None:
    async with running(address, geoip_file=file) as client:
        await client.send_events(
            PAGE, "/api/event", origin="https://shop.example", user_agent=CHROME
        )
        await client.send_events(
            {"userId": "u", "event": "e", "context": {"ip": address}}, "/v1/track"
        )
        for event in client.sink.events:
            stored = json.loads(event.metadata)
            assert stored.get("$country") == country
            assert address not in event.metadata.decode()
        assert len(client.sink.events) == 2


async def test_a_header_that_the_operator_names_goes_before_the_file(file: Path) -> None:
    async with running("203.0.113.77", geoip_file=file, country_header="cf-ipcountry") as client:
        for header, country in (("AU", "AU"), ("XX", "NZ")):
            await client.send_events(
                PAGE,
                "/api/event",
                origin="https://shop.example",
                user_agent=CHROME,
                cf_ipcountry=header,
            )
            assert json.loads(client.sink.events[-1].metadata)["$country"] == country


async def test_a_collector_with_a_wrong_file_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GEOIP_FILE"):
        async with running(geoip_file=tmp_path / "missing.mmdb"):
            pass
