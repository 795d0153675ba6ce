"""Host names, and origins of pages, in the form that browsers send.

Browsers map a name by UTS #46 and send its ASCII form (Punycode): `faß.de` is `xn--fa-hia.de`.
"""

import re
from urllib.parse import unquote

from idna import IDNAError, uts46_remap

MAX_CHARACTERS = 300
"""Of a name that is written anew; its ASCII form has at most 253."""

_MAX_NAME = 253
_MAX_LABEL = 63
_ACE = "xn--"

_NAME = re.compile(r"[a-z0-9_.-]+")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^/?#@:\[\]\s]+)(?::([0-9]{1,5}))?")
_OWN_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65535


def is_plain(host: str) -> bool:
    """Whether browsers send a name in lower case as it stands; nearly every name is such."""
    return (host.isascii() and "%" not in host) or len(host) > MAX_CHARACTERS


def canonical(host: str) -> str:
    """A name as browsers send it, in lower case. A name that none can have stays as it is."""
    name = host.lower()
    return name if is_plain(name) else _in_ascii(name) or name


def origin(text: str) -> str:
    """An origin as browsers send it: in lower case, without the port that its scheme has anyway.

    Raises ValueError for anything else; its message follows the text.
    """
    match = _ORIGIN.fullmatch(text.lower().removesuffix("/"))
    scheme, host, port = match.groups() if match else ("", "", None)
    if not host.startswith("["):
        host = canonical(host)
    if not (host.startswith("[") or _NAME.fullmatch(host)) or int(port or 0) > _MAX_PORT:
        raise ValueError("is not an origin, as in https://example.com")
    if port is None or int(port) == _OWN_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def _in_ascii(name: str) -> str:
    """The ASCII form of a name; "" if it has none."""
    try:
        labels = [
            _label(label) for label in uts46_remap(unquote(name), std3_rules=False).split(".")
        ]
    except (IDNAError, ValueError):
        return ""
    ascii_name = ".".join(labels)
    return ascii_name if len(ascii_name) <= _MAX_NAME and _NAME.fullmatch(ascii_name) else ""


def _label(label: str) -> str:
    """The ASCII form of a part between dots. Raises ValueError for one that is too long."""
    if not label.isascii() and len(label) <= _MAX_LABEL:  # the encoder takes ms for a long one
        label = _ACE + label.encode("punycode").decode()
    if not 0 < len(label) <= _MAX_LABEL:
        raise ValueError("a label has 1 to 63 characters")
    return label
