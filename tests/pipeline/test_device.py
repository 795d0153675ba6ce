"""The browser's language and the size of its screen."""

import pytest

from tests.pipeline.cases import Cases, assert_puts
from tests.visits import SERVER, browsing

CASES: Cases = {
    "the language": ({}, browsing(accept_language="de-AT,de;q=0.9"), {"$language": "de-AT"}),
    "the screen": ({"$screen_width": 1280, "$screen_height": 720}, SERVER, {"$screen": "1280x720"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])
