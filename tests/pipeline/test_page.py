"""The page and the campaign, from its URL."""

import pytest

from tests.pipeline.cases import Cases, assert_puts
from tests.visits import SERVER

CASES: Cases = {
    "the page": (
        {"$url": "https://a.example/p/q?x=1"},
        SERVER,
        {"$host": "a.example", "$path": "/p/q"},
    ),
    "a page that is none": ({"$url": "https://[bad"}, SERVER, {"$host": None, "$path": None}),
    "the campaign": (
        {"$url": "https://a.example/?utm_source=n%20l&gclid=G1&x=2"},
        SERVER,
        {"$utm_source": "n l", "$gclid": "G1", "$x": None},
    ),
    "a NUL in a campaign": (
        {"$url": "https://a.example/?utm_term=a%00b"},
        SERVER,
        {"$utm_term": "ab"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])
