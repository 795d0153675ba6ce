"""What an import says at its end: of each file, and of all events together."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from analytics.importing.mapping import PLAIN, Mapping
from analytics.importing.position import Position
from analytics.importing.wait import ImportResult

SHOWN_CODES = 5
"""Reasons for rejection in the summary of a file, the most frequent first."""


def summary(
    name: str,
    start: Position,
    end: Position,
    missing: Sequence[str],
    seconds: float,
    rejects: Path,
    retention_days: int,
    mapping: Mapping,
) -> list[str]:
    """What was accepted, what was rejected and why, how long it took; a line each.

    missing  the mapped fields that no line has
    rejects  where the rejected lines are
    """
    if not end.line:
        return [f"{name}: empty, nothing to import"]
    total = sum(end.rejected.values())
    accepted = end.accepted - start.accepted
    rejected = total - sum(start.rejected.values())
    rate = (accepted + rejected) / max(seconds, 0.001)
    lines = [
        f"{name}: {accepted:,} accepted, {rejected:,} rejected in {seconds:.1f} s ({rate:,.0f}/s)"
    ]
    if start.line:
        lines.append(f"  with those before: {end.accepted:,} accepted, {total:,} rejected")
    if end.rejected:
        counts = Counter(end.rejected).most_common(SHOWN_CODES)
        reasons = ", ".join(f"{count:,} {code}" for code, count in counts)
        lines.append(f"  rejected: {reasons}; see {rejects}")
    if "bad_timestamp" in end.rejected:
        zone = "times without an offset need their zone, such as --tz Europe/Berlin; "
        where = 'docs/importing.md, "Times", says which are read, and what to do with others'
        lines.append(f"  {where if mapping.zone else zone + where}")
    if "too_old" in end.rejected and retention_days:
        lines.append(
            f"  RETENTION_DAYS is {retention_days}; to keep events forever, set "
            "RETENTION_DAYS=0 here and for the running platform"
        )
    if missing:
        lines.append(f"  {nowhere(missing)}")
    return lines


def nowhere(missing: Sequence[str]) -> str:
    """That no line has these mapped fields."""
    return f"no line has {' or '.join(missing)}, which --map names"


def outcome(result: ImportResult, mapping: Mapping) -> list[str]:
    """What became of the events; a line each."""
    counts = result.outcome
    line = f"stored {counts.stored:,}, duplicates {counts.duplicate:,}"
    if counts.dead_lettered:
        line += f", dead letters {counts.dead_lettered:,} (see `analytics dead-letters list`)"
    if result.others:
        line += (
            f"; {result.others:,} events that others sent meanwhile, "
            "or that were sent twice, are among them"
        )
    if not counts.duplicate or mapping == PLAIN:
        return [line]
    return [
        line,
        "  duplicates stay as they were stored first, whatever --map, --set and --tz say now; "
        'docs/importing.md, "A wrong option", says how to correct them',
    ]
