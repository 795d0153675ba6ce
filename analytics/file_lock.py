"""A lock file: one process of this machine holds it at a time, and loses it when it dies."""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from analytics import private_files


def acquire(path: Path) -> BinaryIO | None:
    """Take the lock without waiting; None when another process holds it.

    Closing the file that is returned releases the lock. Raises OSError when `path` cannot be
    written, is a link, or belongs to another user.
    """
    file = private_files.append(path)
    try:
        # whoever may read a lock file may hold its lock; older releases let everybody
        os.fchmod(file.fileno(), private_files.MODE)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            return None
        raise
    return file


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now."""
    if not path.exists():
        return False
    file = acquire(path)
    if file is None:
        return True
    file.close()
    return False
