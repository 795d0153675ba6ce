"""Readers: from the text of a variable to its value.

Each raises ValueError, which says what the text must be and never repeats a secret.
"""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from analytics import hosts, ip


def between(least: int, most: int | None = None) -> Callable[[str], int]:
    """A whole number within bounds, which may be it too."""

    def read(text: str) -> int:
        number = re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip())
        if not number or int(text) < least or (most is not None and int(text) > most):
            bounds = f"at least {least}" if most is None else f"{least} to {most}"
            raise ValueError(f"must be a whole number, {bounds}")
        return int(text)

    return read


whole = between(0)
positive = between(1)
port = between(1, 65535)


def boolean(text: str) -> bool:
    """Yes or no, in any of the usual words."""
    words = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in words:
        raise ValueError("must be true or false")
    return words[text.lower()]


def names(text: str) -> tuple[str, ...]:
    """Names with commas or line breaks between them."""
    return tuple(part.strip() for part in text.replace("\n", ",").split(",") if part.strip())


def origins(text: str) -> tuple[str, ...]:
    """Origins of web pages, as browsers send them; `*` means any."""
    return tuple(map(_origin, names(text)))


def _origin(text: str) -> str:
    """`null` is what a browser sends for a page without an origin, such as a file."""
    if text.lower() in ("*", "null"):
        return text.lower()
    try:
        return hosts.origin(text)
    except ValueError as error:
        raise ValueError(f"{text} {error}, nor *") from error


def paths(text: str) -> tuple[str, ...]:
    """Paths that need no escapes in a URL."""
    found = names(text)
    if wrong := [name for name in found if not re.fullmatch(r"(/[\w.~-]+)+", name, re.ASCII)]:
        raise ValueError(f"{wrong[0]} must begin with / and hold letters, digits and . ~ - _ only")
    return found


def networks(text: str) -> tuple[ip.Network, ...]:
    """Networks, or single addresses."""
    return tuple(ip.network(name) for name in names(text))


def one_of(*options: str) -> Callable[[str], str]:
    """One of these words, in lower case."""

    def read(text: str) -> str:
        if text.lower() not in options:
            raise ValueError(f"must be one of {', '.join(options)}")
        return text.lower()

    return read


def url(*schemes: str) -> Callable[[str], str]:
    """The URL of a server, with one of these schemes."""

    def read(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"must begin with {schemes[0]}://")
        if not _hosts_are_clear(text):
            raise ValueError(
                "its hosts and ports cannot be read;"
                " / # ? and @ inside a password are written %2F %23 %3F and %40"
            )
        return text

    return read


def ratio(text: str) -> float:
    """A share of something, above none and at most all."""
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) <= 1:
            return value
    raise ValueError("must be a number above 0 and at most 1")


def signals(text: str) -> tuple[str, ...]:
    """Opt-out signals of browsers."""
    found = () if text.lower() == "none" else names(text.lower())
    if wrong := [name for name in found if name not in ("gpc", "dnt")]:
        raise ValueError(f"{wrong[0]} must be gpc, dnt or none")
    return found


def folder(text: str) -> Path:
    """A path that can be written into the configuration of a server."""
    if not text.isprintable():
        raise ValueError("must be text that can be printed, in UTF-8 (perhaps LC_ALL is C)")
    return Path(text)


def header(text: str) -> str:
    """The name of a header, in lower case."""
    if not re.fullmatch(r"[A-Za-z0-9-]+", text, re.ASCII):
        raise ValueError("must be the name of a header")
    return text.lower()


def _hosts_are_clear(url: str) -> bool:
    """Whether the hosts and ports of a URL can be read; several hosts stand with commas between.

    We check it ourselves, because a library's own error might quote the password.
    """
    try:
        places = urlsplit(url).netloc.rpartition("@")[2].split(",")
        with_port = [host for host in places if ":" in host.rpartition("]")[2]]  # not that of IPv6
        ports = [int(host.rpartition(":")[2] or 0) for host in with_port]
    except ValueError:
        return False
    return all(0 <= port < 65536 for port in ports)
