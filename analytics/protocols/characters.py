"""Characters that no text of an event may have, because PostgreSQL cannot store them.

They are NUL and lone surrogates. A byte that is not UTF-8 comes as a lone surrogate too
(`surrogateescape`). Our own protocol refuses them; in other products' events U+FFFD takes their
place, because a library would drop a whole event for a cut emoji.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from analytics.protocols.numbers import Unfit

REPLACEMENT = "\ufffd"
BAD = "bad_character"
"""The code of a text that has such a character."""

_UNFIT = re.compile("[\x00\ud800-\udfff]")
_ESCAPED = range(0xDC80, 0xDD00)
"""What `surrogateescape` makes of bytes."""


def unfit(text: str) -> bool:
    """Whether a text has a character that cannot be stored."""
    return _UNFIT.search(text) is not None


def described(text: str) -> str:
    """The first character of an unfit text that cannot be stored, and where it stands, in words."""
    found = next(_UNFIT.finditer(text))
    code = ord(found[0])
    if code == 0:
        what = "a NUL (U+0000)"
    elif code in _ESCAPED:
        what = f"a byte that is not UTF-8 (0x{code & 0xFF:02X}) or a lone surrogate (U+{code:04X})"
    else:
        what = f"a lone surrogate (U+{code:04X})"
    return f"{what} as character {found.end()}"


def mended(value: Any, depth: int) -> Any:
    """JSON with U+FFFD in place of each such character, in keys too, `depth` levels deep.

    A key that mending makes equal to another gets a number at its end, so that no value is lost.
    A number that cannot be stored becomes the text that was sent.
    """
    if isinstance(value, str):
        return _UNFIT.sub(REPLACEMENT, value)
    if isinstance(value, Unfit):
        return value.text
    if depth and isinstance(value, list):
        return [mended(part, depth - 1) for part in value]
    if depth and isinstance(value, dict):
        parts = (mended(part, depth - 1) for part in value.values())
        return dict(zip(_names(value), parts, strict=True))
    return value


def _names(keys: Iterable[str]) -> Iterator[str]:
    """The keys of an object, mended, no two of them equal. Those that were fit stay."""
    keys = list(keys)
    taken = {key for key in keys if not unfit(key)}
    numbers: Counter[str] = Counter()
    for key in keys:
        name = _UNFIT.sub(REPLACEMENT, key)
        if name != key:
            base = name
            while name in taken:
                numbers[base] += 1
                name = f"{base}{numbers[base] + 1}"
            taken.add(name)
        yield name
