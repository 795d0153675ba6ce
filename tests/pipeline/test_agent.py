"""What a user agent says: the browser's, or the one that an SDK tells."""

import pytest

from tests.pipeline.cases import Cases, assert_puts
from tests.visits import IPHONE, SERVER, browsing

CASES: Cases = {
    "the browser's agent": (
        {},
        browsing(),
        {"$browser": "Chrome", "$browser_version": "131", "$os": "Linux", "$device": "desktop"},
    ),
    "the agent that an SDK tells": (
        {"$user_agent": IPHONE},
        SERVER,
        {"$browser": "Mobile Safari", "$os": "iOS", "$device": "mobile"},
    ),
    "what the sender said stays": (
        {"$browser": "Mine"},
        browsing(),
        {"$browser": "Mine", "$os": "Linux"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])
