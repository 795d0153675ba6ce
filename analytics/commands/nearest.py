"""The name that was meant, where a given one does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches


def hint(word: str, names: Iterable[str]) -> str:
    """`; did you mean NAME?`, or nothing where no name is near."""
    near = get_close_matches(word, list(names), 1)
    return f"; did you mean {near[0]}?" if near else ""
