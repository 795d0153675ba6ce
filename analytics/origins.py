"""Origins of web pages: one reader for every place where an operator writes one."""

import re

DEFAULT_PORTS = {"http": 80, "https": 443}
"""The ports that a browser leaves out of an Origin header."""

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?")


def read(text: str) -> str:
    """An origin as a browser sends it: `scheme://host`, or `scheme://host:port`, in lower case.

    Raises ValueError for anything else; its message follows the text.
    """
    match = _ORIGIN.fullmatch(text.lower().removesuffix("/"))
    if match is None or int(match[3] or 0) > 65535:
        raise ValueError("is not an origin, as in https://example.com")
    scheme, host, port = match.groups()
    if port is None or int(port) == DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"
