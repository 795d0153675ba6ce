"""One library on a page, as a program: bundles it as sites do, serves the page on localhost and
opens it in a Chromium of its own.

It lives, like the other programs, until its standard input is closed; then the page is left.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.browser import chromium, site

ESBUILD = Path(__file__).parent / "node_modules" / ".bin" / "esbuild"


def bundle(program: str) -> bytes:
    """The page's script with its libraries; TARGET, TOKEN, PLAN and EVENTS are written into it."""
    values = {name: os.environ[name] for name in ("TARGET", "TOKEN", "PLAN")}
    defined = [f"--define:{name}={json.dumps(value)}" for name, value in values.items()]
    command = [
        str(ESBUILD),
        program,
        "--bundle",
        "--format=iife",
        "--log-level=error",
        f"--define:EVENTS={os.environ['EVENTS']}",
        *defined,
    ]
    return subprocess.run(command, capture_output=True, check=True).stdout


def main(program: str) -> None:
    pages = {
        "/": (
            "text/html",
            b'<!doctype html><title>A page</title><body><script src="/page.js"></script>',
        ),
        "/page.js": ("text/javascript", bundle(program)),
    }
    with site(pages) as url, chromium() as browser:
        page = browser.page(f"{url}/")
        sys.stdin.read()
        page.go("about:blank")


if __name__ == "__main__":
    main(sys.argv[1])
