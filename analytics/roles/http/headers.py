"""Headers that come more than once: several lines of a list are one list, in their order."""

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]

FORWARDED_FOR = b"x-forwarded-for"
"""A list to which each proxy adds its client at the right. Any client can write its beginning."""


def joined(headers: Headers, name: bytes) -> bytes:
    """The values of all headers of this name, with commas between."""
    return b", ".join(value for given, value in headers if given == name)


def by_name(headers: Headers) -> dict[bytes, bytes]:
    """Header → value: of X-Forwarded-For all lines, of any other the last."""
    named = dict(headers)
    if FORWARDED_FOR in named:
        named[FORWARDED_FOR] = joined(headers, FORWARDED_FOR)
    return named
