"""The Dockerfile's build stage, carried out without Docker: its COPY and RUN lines, in order, in a
folder of this machine.
"""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.deploy.programs import ROOT, missing


def instructions(stage: str) -> list[tuple[str, str]]:
    """The instructions of a stage as (word, rest), with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    steps: list[tuple[str, str]] = []
    current = ""
    for line in filter(str.strip, lines):
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            current = rest.rpartition(" ")[2]
        elif current == stage:
            steps.append((word, rest.strip()))
    return steps


def let_in() -> list[str]:
    """What .dockerignore lets the builder see."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines, "all is kept out that is not let in"
    return [line[1:].rstrip("/") for line in lines if line.startswith("!")]


def reachable() -> str:
    """A python that other accounts can run and that can make environments: ours, or Debian's."""
    ours = Path(sys.executable).resolve()
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in ours.parents):
        return str(ours)
    if subprocess.run(
        ["/usr/bin/python3", "-c", "import ensurepip, venv"], capture_output=True, check=False
    ).returncode:
        missing("python3-venv")
    return "/usr/bin/python3"


class Builder:
    """Runs the steps of a stage as an account, with the image's folders below one of ours."""

    def __init__(self, folder: Path, *, uid: int | None) -> None:
        self.folder = folder
        self.uid = uid
        self.context = folder / "context"
        self.work = folder / "source"
        self.env: dict[str, str] = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "LANG") or name.startswith("PIP_")
        }

    @property
    def identity(self) -> dict[str, Any]:
        return {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}

    def build(self) -> None:
        for name in let_in():
            source, target = ROOT / name, self.context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        for name in ("opt", "home", "source"):
            (self.folder / name).mkdir()
        self.env |= {
            "HOME": str(self.folder / "home"),
            "PATH": f"{self.folder}/base/bin:{self.env['PATH']}",
        }
        if self.uid is not None:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self.uid, self.uid, follow_symlinks=False)
        # stands for the base image's python, which has pip
        self._run(f"{reachable()} -m venv {self.folder}/base")
        for word, rest in instructions("build"):
            self._carry_out(word, rest)

    def _carry_out(self, word: str, rest: str) -> None:
        match word:
            case "ENV":
                self.env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "WORKDIR":
                assert rest == "/source"
            case "COPY":
                *sources, target = rest.split()
                for source in self._sources(sources):
                    path = self.context / source
                    content = f"{path}/." if path.is_dir() else str(path)
                    self._run(f"mkdir -p {target} && cp -r {content} {target}")
            case "RUN":
                self._run(rest.replace("/opt/", f"{self.folder}/opt/"))
            case _:
                raise AssertionError(f"a {word} that the test does not know")

    def _sources(self, sources: list[str]) -> Iterator[str]:
        for source in sources:
            assert (self.context / source).exists(), (
                f"{source} is copied but not let in by .dockerignore"
            )
            yield source

    def _run(self, command: str) -> None:
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=self.work,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            **self.identity,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
