"""The servers' programs: each comes in a package of Python."""

import importlib.util
import shutil
import stat
from pathlib import Path

from analytics.errors import CommandError


def package_folder(package: str) -> Path:
    """The folder of an installed package.

    The package is not imported: that would cost time and memory, and print its warnings.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CommandError(
            f"the package {package} is not installed; `make run` installs it (it is in "
            "requirements/main.txt), or set REDIS_URL and DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0])


def can_be_reached(path: Path) -> bool:
    """Whether every user can get to `path`."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def copied(path: Path, folder: Path) -> Path:
    """A copy of a program, with its libraries, in `folder`; made once."""
    copy = folder / path.name
    if not copy.exists() or copy.stat().st_mtime != path.stat().st_mtime:
        fresh = folder.with_suffix(".new")
        for old in (folder, fresh):
            shutil.rmtree(old, ignore_errors=True)
        fresh.mkdir(parents=True)
        for part in (path, *path.parent.glob(f"{path.name}.libs")):
            (shutil.copytree if part.is_dir() else shutil.copy2)(part, fresh / part.name)
        fresh.rename(folder)
    return copy
