"""Breaks each safeguard of table.py on a copy of the tree, runs the tests that must notice, and
writes docs/mutations.md: `make mutations`.

Words after the command choose mutations whose names hold one of them; the rows of the others stay.
The page is written after each trial, so a run that is ended early keeps what it found.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.mutations.table import MUTATIONS, Edit, Mutation

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mutations.md"
TREE = (
    "analytics",
    "alembic",
    "nginx",
    "tests",
    "pyproject.toml",
    "alembic.ini",
    "README.md",
    "docs",
)
AT_ONCE = 2
SECONDS = 240
"""For the tests of one mutation."""

NOBODY, NOT_RUN = "**nobody**", "not run yet"
"""In place of the tests that caught a mutation."""

FAILED = 1
"""pytest's exit status when tests ran and some failed; a mutation that keeps them from running
proves nothing.
"""


class Trial(NamedTuple):
    """What became of a mutation: pytest's exit status, the tests that failed, what was printed, and
    how long it took.
    """

    mutation: Mutation
    status: int | None
    failed: Sequence[str]
    output: str
    seconds: float

    @property
    def caught(self) -> bool:
        return self.status == FAILED and bool(self.failed)


def apply(root: Path, edits: Sequence[Edit]) -> None:
    """Change files below `root`; raises LookupError unless each text is in its file once."""
    for edit in edits:
        path = root / edit.file
        text = path.read_text()
        if text.count(edit.old) != 1:
            line = edit.old.strip().splitlines()[0]
            raise LookupError(f"{edit.file} holds {text.count(edit.old)} times, not once: {line!r}")
        path.write_text(text.replace(edit.old, edit.new))


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of what the tests need. The servers' account has to enter it too."""
    with tempfile.TemporaryDirectory(prefix="analytics-mutation-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        for part in TREE:
            if (ROOT / part).is_dir():
                shutil.copytree(
                    ROOT / part,
                    folder / part,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("__pycache__", "node_modules", ".venv"),
                )
            else:
                shutil.copy2(ROOT / part, folder / part)
        yield folder


def run(folder: Path, tests: Sequence[str]) -> tuple[int | None, str]:
    """pytest's exit status (None when it did not end in time) and output. A copy whose package is
    not its own proves nothing.
    """
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    probe = subprocess.run(
        [sys.executable, "-c", "import analytics; print(analytics.__file__)"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    if not probe.stdout.startswith(str(folder)):
        raise RuntimeError(f"the tests would run {probe.stdout.strip()}, not the copy in {folder}")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-rfE",
        "--tb=line",
        "--no-header",
        *tests,
    ]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        return None, str(error)
    return done.returncode, done.stdout + done.stderr


def judge(mutation: Mutation) -> Trial:
    """Apply it to a fresh copy, and see who notices."""
    began = time.monotonic()
    with copied() as folder:
        apply(folder, mutation.edits)
        status, output = run(folder, mutation.tests)
    failed = list(
        dict.fromkeys(
            re.sub(r"\[.*", "", name) for name in re.findall(r"^FAILED (\S+)", output, re.MULTILINE)
        )
    )
    trial = Trial(mutation, status, failed, output, time.monotonic() - began)
    print(
        f"{'caught  ' if trial.caught else 'SURVIVED'} {trial.seconds:5.1f} s  {mutation.name}",
        flush=True,
    )
    return trial


def unmutated(mutations: Sequence[Mutation]) -> None:
    """All of their tests pass on a copy that nobody has changed. Raises SystemExit."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    with copied() as folder:
        status, output = run(folder, tests)
    if status != 0:
        raise SystemExit(f"unmutated, the tests do not pass (status {status}):\n{output[-5000:]}")
    print(f"unmutated, {output.strip().splitlines()[-1].strip()}", flush=True)


HEAD = """# Mutations: is each safeguard held by a test?

A test suite proves little unless it fails when something is wrong. `make mutations` checks this.
It breaks one safeguard after the other on a copy of the tree, and runs the few tests that must
notice. `tests/mutations/table.py` has the exact edits. Without a mutation, all of these tests
"""


def known(text: str) -> dict[str, str]:
    """The rows of the page: the name of each mutation, and who caught it."""
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[2] for row in cells[1:]}


def page(trials: Sequence[Trial], commit: str, before: Mapping[str, str]) -> str:
    """The table for the docs. Mutations that did not run now keep their rows of `before`."""
    caught_by = {**before, **{trial.mutation.name: _caught_by(trial) for trial in trials}}
    rows = [(one, caught_by.get(one.name, NOT_RUN)) for one in MUTATIONS]
    caught = sum(tests not in (NOBODY, NOT_RUN) for _, tests in rows)
    later = sum(tests == NOT_RUN for _, tests in rows)
    lines = [
        *HEAD.splitlines(),
        f"pass. Commit {commit}: {len(rows)} mutations, {caught} caught"
        + (f", {later} not run yet." if later else "."),
        "",
        "| what is broken | promise that no longer holds | caught by |",
        "|---|---|---|",
        *(f"| {one.name} | {one.promise} | {tests} |" for one, tests in rows),
    ]
    return "\n".join(lines) + "\n"


def _caught_by(trial: Trial) -> str:
    if not trial.caught:
        return NOBODY
    return "<br>".join(f"`{test.removeprefix('tests/')}`" for test in trial.failed)


def main(words: Sequence[str]) -> None:
    chosen = [
        mutation
        for mutation in MUTATIONS
        if not words or any(word in mutation.name for word in words)
    ]
    unmutated(chosen)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    before = known(PAGE.read_text()) if words else {}
    trials = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for trial in threads.map(judge, chosen):
            trials.append(trial)
            PAGE.write_text(page(trials, commit, before))
    if survivors := [trial for trial in trials if not trial.caught]:
        for trial in survivors:
            print(f"\n{trial.mutation.name}: pytest ended with {trial.status}")
            print(trial.output[-3000:])
        raise SystemExit(f"{len(survivors)} of {len(trials)} mutations survived")
    print(f"all {len(trials)} mutations were caught")


if __name__ == "__main__":
    main(sys.argv[1:])
