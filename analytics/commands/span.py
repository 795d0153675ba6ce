"""A span of time as the command line takes it: 90m, 24h, 30d, 12w."""

from datetime import timedelta
from typing import Any

import click

from analytics.spans import parse_span

MAX_CHARACTERS = 6
"""Five digits and a unit; `timedelta` could not hold some longer spans."""


def span(text: str) -> timedelta | None:
    """The span that a text means; None if it is not written as one."""
    seconds = parse_span(text) if len(text) <= MAX_CHARACTERS else None
    return None if seconds is None else timedelta(seconds=seconds)


class Span(click.ParamType[timedelta]):
    """The type of an option that is a span of time."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        parsed = span(value)
        if parsed is None:
            self.fail(f"{value!r} is not a span of time like 90m, 24h, 30d or 12w", param, ctx)
        return parsed
