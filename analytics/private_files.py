"""Files and folders that only this user may change. No link inside such a folder is followed.

As root, the folders and links on the way count too: who may change or rename one of them decides
where it leads.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from errno import ELOOP, ENOTDIR, EPERM
from pathlib import Path
from typing import BinaryIO

MODE = 0o600
FOLDER_MODE = 0o700
MAX_LINKS = 40
"""On the way to one folder, as in Linux."""


def claim(folder: Path, mode: int = FOLDER_MODE) -> Path:
    """The real path of a folder that only this user may change, made with `mode` if it is missing.

    A folder that is there stays as it is. Raises OSError, whose strerror says what is wrong.
    """
    real = Path(os.path.realpath(folder))
    if os.geteuid() == 0:
        for step in _way(folder):
            _check_step(step)
    for above in reversed(real.parents):
        if not above.exists():
            above.mkdir(0o755)  # whatever the umask allows
    try:
        real.mkdir(mode)
        real.chmod(mode)  # the umask may have taken bits away
    except FileExistsError:
        check(real)
    return real


def claim_data(folder: Path) -> Path:
    """The real path of a folder for data, made if it is missing; see `claim`.

    As root, the servers run as another user, who must get through to their own folders.
    """
    return claim(folder, 0o711 if os.geteuid() == 0 else FOLDER_MODE)


def check(folder: Path) -> None:
    """Raises OSError unless `folder` is one, and only this user or root may change it."""
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(folder))
    if fault := _strangers(facts):
        raise PermissionError(EPERM, f"{folder} {fault}", str(folder))


def give(folder: Path, uid: int, gid: int) -> None:
    """Make an empty folder of ours private to a user; one that is in use must be so already.

    Raises OSError otherwise, and for a link.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        facts = os.fstat(handle)
        if facts.st_uid in (uid, os.geteuid()) and not os.listdir(handle):
            if facts.st_uid != uid:
                os.fchown(handle, uid, gid)
            os.fchmod(handle, FOLDER_MODE)
        elif facts.st_uid != uid:
            raise PermissionError(EPERM, f"it belongs to {_name(facts.st_uid)}", str(folder))
        elif facts.st_mode & ~FOLDER_MODE & 0o777:
            raise PermissionError(EPERM, "others may enter it", str(folder))
    finally:
        os.close(handle)


def read(path: Path, *owners: int) -> bytes:
    """What is in a file of this user, of root, or of a user among `owners`.

    Raises OSError, also for a link or another's file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would wait
    if not _is_plain(os.fstat(handle), owners):
        os.close(handle)
        raise PermissionError(EPERM, f"{path} is not a file of yours", str(path))
    with os.fdopen(handle, "rb") as file:
        return file.read()


def replace(path: Path, data: bytes, owner: tuple[int, int] | None = None) -> None:
    """Put `data` where `path` is, in one step, for this user alone, or for a user and group.

    What stood there is removed, not written into: a link too.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(fresh, flags, MODE), "wb") as file:
        file.write(data)
        if owner:
            os.fchown(file.fileno(), *owner)
    fresh.replace(path)


def append(path: Path, *owners: int) -> BinaryIO:
    """A file to be written at its end, made if it is missing; see `read` for `owners`.

    Raises OSError also for a link, for a file that has a second name, and for another's file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    handle = os.open(path, flags, MODE)
    facts = os.fstat(handle)
    if facts.st_nlink > 1 or not _is_plain(facts, owners):
        os.close(handle)
        raise PermissionError(EPERM, f"{path} is not a file of yours", str(path))
    return os.fdopen(handle, "ab")


def _way(folder: Path) -> Iterator[Path]:
    """Every folder and link that the system passes on its way to a folder, and the folder itself.

    Raises OSError for links that lead to each other.
    """
    here, *names = folder.absolute().parts
    at, links = Path(here), 0
    yield at
    while names:
        step = at / names.pop(0)
        if step.name == "..":
            at = at.parent
            continue
        yield step
        if not step.is_symlink():
            at = step
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(ELOOP, os.strerror(ELOOP), str(folder))
        target = step.readlink()
        if target.is_absolute():
            at = Path(target.anchor)
        names = [*target.relative_to(target.anchor).parts, *names]


def _check_step(step: Path) -> None:
    """Raises PermissionError when a stranger may change where a folder or link leads."""
    try:
        facts = step.lstat()
    except FileNotFoundError:
        return
    if fault := _strangers(facts, renaming=True):
        raise PermissionError(EPERM, f"{step} {fault}", str(step))


def _strangers(facts: os.stat_result, *, renaming: bool = False) -> str | None:
    """Who but this user and root may change what has these facts; None when nobody may.

    With `renaming`, a folder does not count in which all may write but only owners rename.
    """
    if facts.st_uid not in (0, os.geteuid()):
        return f"belongs to {_name(facts.st_uid)}"
    if stat.S_ISLNK(facts.st_mode) or (renaming and facts.st_mode & stat.S_ISVTX):
        return None
    ours = facts.st_gid in (0, os.getegid())
    if facts.st_mode & (stat.S_IWOTH if ours else stat.S_IWOTH | stat.S_IWGRP):
        return "can be written by others"
    return None


def _is_plain(facts: os.stat_result, owners: tuple[int, ...]) -> bool:
    return stat.S_ISREG(facts.st_mode) and facts.st_uid in (0, os.geteuid(), *owners)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"
