"""Values of an answer as people read them: shares, changes, durations, times, numbers."""

import json
import re
from collections.abc import Sequence
from typing import Any

ABSENT = "–"
BLOCKS = "▁▂▃▄▅▆▇█"

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d)")


class Share(float):
    """A part of a whole, from 0 to 1."""


class Change(float):
    """The growth from one number to another, as a share of the first."""


class Seconds(float):
    """A duration."""


def change(now: Any, before: Any) -> Change | None:
    """The change between two numbers; None where there is none to speak of."""
    if not is_number(now) or not is_number(before) or not before:
        return None
    return Change((now - before) / abs(before))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """A value of JSON, or one of the above, as text."""
    match value:
        case None:
            return ABSENT
        case Share():
            return f"{value:.1%}".replace("%", " %")
        case Change():
            return f"{value:+,.1%}".replace("%", " %")
        case Seconds():
            return duration(value)
        case float():
            return f"{value:,.2f}" if value == 0 or abs(value) >= 1 else f"{value:.3g}"
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case str():
            return moment(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


def duration(seconds: float) -> str:
    """A length of time in its two largest units, as in `3 h 12 min`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.3g} s"
    if (whole := round(seconds)) < 3_600:
        return _units(whole, 60, "min", "s")
    if (minutes := round(seconds / 60)) < 1_440:
        return _units(minutes, 60, "h", "min")
    return _units(round(seconds / 3_600), 24, "d", "h")


def _units(count: int, size: int, large: str, small: str) -> str:
    more, rest = divmod(count, size)
    return f"{more:,} {large} {rest} {small}" if rest else f"{more:,} {large}"


def moment(text: str) -> str:
    """An instant without its `T`, and without seconds where they are 0; other text as it is."""
    found = _TIME.fullmatch(text)
    if found is None:
        return text
    day, time, seconds, offset = found.groups()
    return f"{day} {time}{'' if seconds == ':00' else seconds}{offset}"


def is_moment(value: Any) -> bool:
    """Whether a value is an instant as answers write it."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def buckets(starts: Sequence[str]) -> list[str]:
    """The starts of buckets in local time: days alone, or the time; the offset where it varies."""
    found = [_TIME.fullmatch(start) for start in starts]
    if not all(found):
        return list(starts)
    parts = [match.groups() for match in found if match]
    if all(time == "00:00" for _, time, _, _ in parts):
        return [day for day, *_ in parts]
    varies = len({offset for *_, offset in parts}) > 1
    return [f"{day} {time}{offset if varies else ''}" for day, time, _, offset in parts]


def spark(values: Sequence[float | None], most: int) -> str:
    """A line of blocks as high as the numbers.

    Of more than `most` numbers, neighbours share a block, as high as the highest.
    """
    step = max(-(-len(values) // most), 1)
    numbers = [
        max((abs(value) for value in values[at : at + step] if value is not None), default=0)
        for at in range(0, len(values), step)
    ]
    highest = max(numbers, default=0) or 1
    levels = (int(number / highest * len(BLOCKS)) for number in numbers)
    return "".join(BLOCKS[min(level, len(BLOCKS) - 1)] for level in levels)
