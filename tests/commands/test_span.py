"""A span of time on the command line: bounded, so that a timedelta can hold it."""

from datetime import timedelta

import click
import pytest

from analytics.commands.span import Span, span


def test_a_span_has_at_most_five_digits() -> None:
    assert span("90m") == timedelta(minutes=90)
    assert span("99999w") == timedelta(weeks=99_999)
    assert span("100000s") is None


@pytest.mark.parametrize("text", ["", "soon", "30", "-1d", "999999999w"])
def test_what_is_no_span_is_wrong_usage_that_shows_how_one_looks(text: str) -> None:
    with pytest.raises(click.BadParameter) as error:
        Span().convert(text, None, None)
    assert error.value.message == f"{text!r} is not a span of time like 90m, 24h, 30d or 12w"
