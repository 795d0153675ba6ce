"""Holds the lock files to what they lock, without a network; `--write` writes them anew."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
PROJECT = HERE.parent / "pyproject.toml"
EXTRA = "embedded"


def asked(name: str) -> Iterator[Requirement]:
    """What pyproject.toml and NAME.in ask for, NAME.in's own `-r` included; of the image, only what
    the package cannot do without.
    """
    project = tomllib.loads(PROJECT.read_text())["project"]
    yield from map(Requirement, project["dependencies"])
    if name != "image":
        yield from map(Requirement, project["optional-dependencies"][EXTRA])
        yield from _lines(HERE / f"{name}.in")


def _lines(path: Path) -> Iterator[Requirement]:
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            yield from _lines(path.parent / text[3:])
        elif text:
            yield Requirement(text)


def pinned(name: str) -> dict[str, Requirement]:
    """The pins of NAME.txt by name. Raises SystemExit for one without a hash."""
    pins: dict[str, Requirement] = {}
    for entry in (HERE / f"{name}.txt").read_text().replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.split(" --hash=")
        if not hashes:
            raise SystemExit(
                f"requirements/{name}.txt: no hash for {entry.strip()}; run `make lock`"
            )
        pin = Requirement(requirement.strip())
        pins[canonicalize_name(pin.name)] = pin
    return pins


def faults() -> Iterator[str]:
    """What is wrong with the lock files, a line each."""
    locks = {name: pinned(name) for name in ("main", "dev", "image")}
    for name, lock in locks.items():
        for requirement in asked(name):
            pin = lock.get(canonicalize_name(requirement.name))
            if pin is None:
                yield f"requirements/{name}.txt lacks {requirement}"
            elif not all(requirement.specifier.contains(spec.version) for spec in pin.specifier):
                yield f"requirements/{name}.txt pins {pin}, but {requirement} is asked for"
    for path in sorted(HERE.glob("*.txt")):
        for key, pin in pinned(path.stem).items():
            if key in locks["main"] and str(locks["main"][key]) != str(pin):
                yield f"{path.name} and main.txt differ in {key}"


def write() -> None:
    """Compile both lock files with uv; dev keeps the versions of main."""
    uv = [
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--fork-strategy",
        "fewest",
        "--generate-hashes",
        "--extra",
        EXTRA,
    ]
    quiet = [
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
        "--no-emit-find-links",
        "--upgrade",
    ]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for name, more in (("main", ()), ("dev", ("--constraints", str(HERE / "main.txt")))):
        subprocess.run(
            [
                *uv,
                *quiet,
                *more,
                PROJECT,
                HERE / f"{name}.in",
                "--output-file",
                HERE / f"{name}.txt",
            ],
            check=True,
            env=environment,
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    elif problems := "; ".join(faults()):
        raise SystemExit(f"{problems}; run `make lock`")
