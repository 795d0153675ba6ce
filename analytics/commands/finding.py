"""One line of what `analytics doctor` reports."""

from typing import NamedTuple

GOOD, ODD, BAD = "✓", "!", "✗"


class Finding(NamedTuple):
    """What was looked at, and how it is."""

    mark: str
    """GOOD, ODD or BAD."""
    subject: str
    text: str
    """What the state is, and what to do about it."""
