"""`make proof`: every fault at full length, and what was measured written into docs/proof.md;
nothing in that page is written by hand.
"""

import os
import platform as machine
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from tests.faults.figures import Figures
from tests.faults.matrix import FAULTS, Fault

PAGE = "docs/proof.md"
WORKERS = os.environ.get("WORKERS", "2")

HEAD = """# Proof

`make proof` wrote this page, and nothing here is written by hand. It starts real servers and real
roles, causes the faults below, and counts the events.

- **acknowledged**: events for which the collector answered 2xx.
- **lost**: acknowledged events that are neither stored nor a dead letter after the queue has
  drained.
- **duplicated**: rows beyond the first of an id.
- **recovery**: the longest time from the end of a fault until events were acknowledged and stored
  again. Tests ran side by side, so this is an upper bound.

In every row with figures the books balanced, and the rollups equalled the raw events.
Rows without figures are about refusals and answers: nothing is acknowledged there.

The same tests, shorter, run at every change (`make test`);
[tests/faults/matrix.py](../tests/faults/matrix.py) lists them.
"""


class Ran(msgspec.Struct, frozen=True):
    """A test as it ran: how it ended, why it was skipped, how long it took, what it measured."""

    test: str
    outcome: str
    why: str
    seconds: float
    figures: Figures | None


class Recorder:
    """A plugin of pytest's that keeps what each test measured; under xdist, in the process that
    gathers.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, tuple[str, str]] = {}
        self.seconds: dict[str, float] = {}
        self.figures: dict[str, Figures] = {}

    def pytest_runtest_logreport(self, report: object) -> None:
        test, outcome, when = (
            str(getattr(report, "nodeid", "")),
            str(getattr(report, "outcome", "")),
            getattr(report, "when", ""),
        )
        self.seconds[test] = self.seconds.get(test, 0.0) + float(getattr(report, "duration", 0.0))
        if outcome != "passed" or (when == "call" and test not in self.outcomes):
            why = getattr(report, "longrepr", "") if outcome == "skipped" else ""
            self.outcomes[test] = (
                outcome,
                str(why[2] if isinstance(why, tuple) else why).removeprefix("Skipped: "),
            )
        for name, value in getattr(report, "user_properties", ()):
            if name == "figures":
                self.figures[test] = msgspec.convert(value, Figures)

    def ran(self) -> list[Ran]:
        return [
            Ran(test, *ending, self.seconds[test], self.figures.get(test))
            for test, ending in self.outcomes.items()
        ]


def of(fault: Fault, ran: Sequence[Ran]) -> list[Ran]:
    """The runs of a fault's tests."""
    return [
        one
        for one in ran
        if any(one.test.removeprefix("tests/").split("[")[0] == test for test in fault.tests)
    ]


def result(fault: Fault, ran: Sequence[Ran]) -> str:
    runs = of(fault, ran)
    missing = [
        test
        for test in fault.tests
        if not any(one.test.removeprefix("tests/").split("[")[0] == test for one in runs)
    ]
    if any(one.outcome == "failed" for one in runs):
        return "**failed**"
    if missing or not runs:
        return "**not run**"
    if skipped := [one for one in runs if one.outcome == "skipped"]:
        return (
            f"**skipped**: {skipped[0].why}"
            if len(skipped) == len(runs)
            else f"held; one test skipped: {skipped[0].why}"
        )
    return "held"


def row(fault: Fault, ran: Sequence[Ran]) -> str:
    figures = [one.figures for one in of(fault, ran) if one.figures and one.figures.acknowledged]
    recoveries = [one.recovery for one in figures if one.recovery is not None]
    shown = [
        f"{total:,}" if figures else ""
        for total in (
            sum(getattr(one, name) for one in figures)
            for name in ("acknowledged", "lost", "duplicated")
        )
    ]
    recovery = f"{max(recoveries):.1f} s" if recoveries else ""
    cells = (fault.number, fault.what, fault.done, *shown, recovery, result(fault, ran))
    return f"| {' | '.join(map(str, cells))} |"


def whole(ran: Sequence[Ran]) -> bool:
    """Whether every fault held."""
    return all(result(fault, ran).startswith("held") for fault in FAULTS) and all(
        one.outcome != "failed" for one in ran
    )


def page(ran: Sequence[Ran], *, commit: str, when: str, machine: str) -> str:
    """The page. A test that stands for several faults counts once in the totals."""
    figures = [one.figures for one in ran if one.figures]
    held = sum(result(fault, ran).startswith("held") for fault in FAULTS)
    outcomes = Counter(one.outcome for one in ran)
    totals = {
        "faults": f"{held} of {len(FAULTS)} held",
        "tests": f"{outcomes['passed']} passed, {outcomes['failed']} failed, "
        f"{outcomes['skipped']} skipped",
        "processes killed": f"{sum(one.kills for one in figures):,}",
        "events acknowledged": f"{sum(one.acknowledged for one in figures):,}",
        "lost": f"{sum(one.lost for one in figures):,}",
        "duplicated": f"{sum(one.duplicated for one in figures):,}",
        "commit": f"`{commit}`",
        "run": when,
        "machine": machine,
    }
    lines = [
        HEAD,
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in totals.items()),
        "",
    ]
    lines += [
        "| # | fault | what was done | acknowledged | lost | duplicated | recovery | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [row(fault, ran) for fault in FAULTS]
    return "\n".join(lines) + "\n"


def commit() -> str:
    """The commit that ran; with `and changes` when the code is not what that commit holds."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    changed = git(
        "status",
        "--porcelain",
        "--",
        "analytics",
        "alembic",
        "tests",
        "pyproject.toml",
        "requirements",
    )
    return git("rev-parse", "--short=12", "HEAD") + (" and changes" if changed else "")


def main(arguments: Sequence[str]) -> int:
    """Run and write; `arguments` are pytest's, to run a part: what was not run is called so in the
    page. Fails unless every fault held.
    """
    import pytest

    os.environ.setdefault("PROOF", "1")
    recorder, began, ran_on = Recorder(), time.monotonic(), commit()
    tests = sorted({f"tests/{test}" for fault in FAULTS for test in fault.tests})
    options = ["-n", WORKERS, "-p", "no:cacheprovider", "-ra"]
    status = int(pytest.main([*options, *arguments, *tests], plugins=[recorder]))
    ran = recorder.ran()
    length = "full" if os.environ["PROOF"] else "**short**"
    minutes = (time.monotonic() - began) / 60
    when = (
        f"{datetime.now(UTC):%Y-%m-%d}, {length} length, "
        f"{minutes:.1f} minutes with {WORKERS} workers"
    )
    here = (
        f"{os.cpu_count()} cores, {machine.system()} {machine.machine()}, "
        f"Python {machine.python_version()}"
    )
    with open(PAGE, "w") as file:
        file.write(page(ran, commit=ran_on, when=when, machine=here))
    print(f"{PAGE} is written")
    return status or int(not whole(ran))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
