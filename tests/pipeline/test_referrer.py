"""The site that the visitor came from, and its name."""

import pytest

from analytics.pipeline.referrer import source
from tests.pipeline.cases import Cases, assert_puts
from tests.visits import SERVER

CASES: Cases = {
    "the referrer": (
        {"$referrer": "https://www.google.co.uk/search"},
        SERVER,
        {"$referrer_domain": "google.co.uk", "$referrer_source": "Google"},
    ),
    "a referrer nobody knows": (
        {"$referrer": "https://blog.example/x"},
        SERVER,
        {"$referrer_source": "blog.example"},
    ),
    "its own referrer": (
        {"$url": "https://a.example/", "$referrer": "https://www.a.example/b"},
        SERVER,
        {"$referrer_domain": None},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])


def test_sources_have_names_for_their_subdomains_only() -> None:
    assert [
        source(name)
        for name in ("m.facebook.com", "t.co", "notfacebook.com", "google.com.evil.example")
    ] == [
        "Facebook",
        "X",
        "notfacebook.com",
        "google.com.evil.example",
    ]
