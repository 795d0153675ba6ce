"""A lock file: one process of this machine holds it at a time, and loses it when it dies."""

import fcntl
from pathlib import Path
from typing import TextIO


def acquire(path: Path) -> TextIO | None:
    """Take the lock without waiting; None when another process holds it.

    Closing the file that is returned releases the lock. Raises OSError when `path` cannot be
    written.
    """
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now."""
    file = acquire(path)
    if file is None:
        return True
    file.close()
    return False
