"""Tables of what was measured, printed, and written between markers into docs/performance.md."""

import re
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


class Report:
    """One section's lines."""

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
        """Put it in the place of what the last run wrote."""
        begin, end = f"<!-- bench {self.section} -->", f"<!-- /bench {self.section} -->"
        text = "\n".join(
            [
                begin,
                *self.lines,
                "",
                f"Written by `make bench SECTIONS={self.section}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
                end,
            ]
        )
        page = PAGE.read_text()
        if begin not in page:
            raise SystemExit(f"{PAGE} has no place for the section {self.section}")
        PAGE.write_text(
            re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: text, page, flags=re.DOTALL)
        )


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """Median and, in brackets, the least and the most."""
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
