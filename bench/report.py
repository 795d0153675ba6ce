"""Tables of measurements: printed, and written between markers into docs/performance.md."""

import re
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


class Report:
    """The lines of one section."""

    def __init__(self, section: str) -> None:
        self.section = section
        self.lines: list[str] = []

    def head(self, *columns: str) -> None:
        if self.lines:
            self.lines.append("")
        self.row(*columns)
        self.row(*("---" for _ in columns))

    def row(self, *cells: str) -> None:
        self.lines.append(f"| {' | '.join(cells)} |")
        print(self.lines[-1], flush=True)

    def say(self, text: str) -> None:
        self.lines += ["", text]
        print(text, flush=True)

    def write(self) -> None:
        """Replace what the last run wrote; raises SystemExit when the page has no such section."""
        begin, end = f"<!-- bench {self.section} -->", f"<!-- /bench {self.section} -->"
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        signature = f"Written by `make bench SECTIONS={self.section}`, {when}."
        text = "\n".join([begin, *self.lines, "", signature, end])
        page = PAGE.read_text()
        if begin not in page:
            raise SystemExit(f"{PAGE} has no place for the section {self.section}")
        section = f"{re.escape(begin)}.*?{re.escape(end)}"
        PAGE.write_text(re.sub(section, lambda _: text, page, flags=re.DOTALL))


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """The median and, in brackets, minimum and maximum."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def percentile(ordered: Sequence[float], share: float) -> float:
    return sorted(ordered)[min(len(ordered) - 1, int(len(ordered) * share))]


def milliseconds(seconds: Sequence[float]) -> tuple[str, str]:
    """Median and p99."""
    return (
        f"{percentile(seconds, 0.5) * 1000:,.1f} ms",
        f"{percentile(seconds, 0.99) * 1000:,.1f} ms",
    )


def met(ratio: float, bar: float) -> str:
    return f"{bar:g} {'met' if ratio >= bar else '**missed**'}"


def below(value: float, bar: float, unit: str) -> str:
    return f"< {bar:g} {unit} {'met' if value < bar else '**missed**'}"
