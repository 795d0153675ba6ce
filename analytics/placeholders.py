"""What programs write where they have no id, as text."""

import re

WORDS = frozenset(("null", "undefined", "nan", "none", "true", "false", "[object object]"))
"""In lower case."""

_ZERO_UUID = re.compile(r"(?:urn:uuid:)?\{?0{8}(?:-?0{4}){3}-?0{12}\}?")
"""A UUID of zeros as programs write it, in lower case."""


def is_placeholder(text: str) -> bool:
    """Whether a text is no id, whatever it should name. Numbers may be ids, 0 too."""
    word = text.strip().lower()
    return word in WORDS or _ZERO_UUID.fullmatch(word) is not None
