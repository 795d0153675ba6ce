"""The name that was meant."""

import pytest

from analytics.commands.nearest import hint

NAMES = ("trends", "breakdown", "users/ada/timeline")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("trend", "; did you mean trends?"),
        ("brakdown", "; did you mean breakdown?"),
        ("users/ada/timelin", "; did you mean users/ada/timeline?"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_named_or_none(word: str, expected: str) -> None:
    assert hint(word, NAMES) == expected
