"""A span of time as the command line takes it: 90m, 24h, 30d, 12w."""

import re
from datetime import timedelta
from typing import Any

import click

_SPAN = re.compile(r"([0-9]{1,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span(text: str) -> timedelta | None:
    """The span that a text says; None when it says none."""
    found = _SPAN.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


class Span(click.ParamType[timedelta]):
    """An option that is a span of time."""

    name = "30d"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        found = span(value)
        if found is None:
            self.fail(f"{value!r} is not a span of time like 90m, 24h, 30d or 12w", param, ctx)
        return found
