"""The data folders of this user's `analytics run`s: so that other commands find one by itself.

Each has a file in a folder below the user's data folder, which holds the path of its data folder.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from analytics import private_files
from analytics.embedded.running import Running, running

FOLDER = "platforms"


@contextlib.contextmanager
def announced(data: Path, base: Path) -> Iterator[None]:
    """Let `found` find the platform with its data in `data`, until the context ends.

    `base` is the user's data folder. Where it cannot be written, nothing is announced.
    """
    file = None
    with contextlib.suppress(OSError):
        folder = private_files.claim(private_files.claim_data(base) / FOLDER)
        _forget_ended(folder)
        file = folder / hashlib.sha256(bytes(data)).hexdigest()[:16]
        private_files.replace(file, bytes(data))
    try:
        yield
    finally:
        if file is not None:
            file.unlink(missing_ok=True)


def found(base: Path) -> dict[Path, Running]:
    """The platforms of this user that run: their data folders, and what is known of them."""
    named = {folder: running(folder) for folder in (base, *_announced(base / FOLDER).values())}
    return {folder: run for folder, run in named.items() if run is not None}


def _announced(folder: Path) -> dict[Path, Path]:
    """File → the data folder that it names."""
    with contextlib.suppress(OSError):
        private_files.check(folder)
        return {
            file: Path(private_files.read(file).decode(errors="surrogateescape"))
            for file in sorted(folder.iterdir())
        }
    return {}


def _forget_ended(folder: Path) -> None:
    """Remove what crashes left behind."""
    for file, data in _announced(folder).items():
        if running(data) is None:
            file.unlink(missing_ok=True)
