"""openapi.json, held to by schemathesis: whatever is sent, it foresees the answer."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.examples import RANDOM, share

PROGRAM = (sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def keeps_promises(
    document: str, server: str, paths: str, folder: Path, headers: Mapping[str, str] | None = None
) -> int:
    """Try the addresses of a document at a server; how many there were. Fails with what broke.

    `paths` is a regular expression of the paths to try.
    """
    words = ["run", document, "--url", server, "--include-path-regex", paths]
    for name, value in (headers or {}).items():
        words += ["--header", f"{name}: {value}"]
    words += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"]
    words += ["--max-examples", str(share(5)), *([] if RANDOM else ["--seed", "1"])]
    words += ["--continue-on-failure", "--no-color", "--warnings", "off"]
    process = subprocess.run(
        [*PROGRAM, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    print(process.stdout)
    assert process.returncode == 0, process.stdout[-6000:] + process.stderr[-2000:]
    tested = re.search(r"Tested: +(\d+)", process.stdout)
    assert tested, process.stdout
    return int(tested[1])
