"""No address from outside is ever fetched: serving modules import nothing that could fetch."""

import ast
from pathlib import Path

import analytics

PACKAGE = Path(analytics.__file__).parent
FETCHERS = {
    "aiohttp",
    "ftplib",
    "httpx",
    "httpx2",
    "requests",
    "smtplib",
    "urllib3",
    "urllib.request",
    "http.client",
    "websockets",
    "socket",
}
SERVING = (
    "roles",
    "protocols",
    "pipeline",
    "queries",
    "queue",
    "live",
    "projects",
    "stores",
    "importing",
    "tracker",
)
"""Modules that serve requests. The command line fetches what its operator names.

server.py and embedded/ only listen.
"""


def imported(path: Path) -> set[str]:
    """The modules that a file imports, with their parents."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            modules |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return modules


def test_nothing_that_serves_can_fetch() -> None:
    files = [path for name in SERVING for path in (PACKAGE / name).rglob("*.py")]
    assert len(files) > 80
    assert {str(path): fetchers for path in files if (fetchers := imported(path) & FETCHERS)} == {}
