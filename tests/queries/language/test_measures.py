"""Measures: how they are written, and their numbers as JSON shows them."""

import math
from decimal import Decimal

import pytest

from analytics.queries.language.fields import Field
from analytics.queries.language.measures import KINDS, Measure, Number, added, number


@pytest.mark.parametrize("name", KINDS)
def test_a_measure_needs_a_field_of_metadata_or_takes_none(name: str) -> None:
    with_field = f"{name}:metadata.cart.total"
    if name in ("count", "users", "sessions"):
        assert Measure.read(name) == Measure(name, name)
        with pytest.raises(ValueError, match=f"{name} takes no field"):
            Measure.read(with_field)
    else:
        field = Field.read("metadata.cart.total")
        assert Measure.read(with_field) == Measure(with_field, name, field)
        for text in (name, f"{name}:event_type"):
            with pytest.raises(ValueError, match=f"{name} needs a number in metadata"):
                Measure.read(text)


@pytest.mark.parametrize(
    "text", ["", "total", "Count", "p42:metadata.a", "count,users", "sum:metadata.a:b"]
)
def test_what_is_no_measure_is_refused_with_all_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="it is one of count, users, sessions, sum, "):
        Measure.read(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (7, 7),
        (Decimal("7.00"), 7),
        (Decimal("0.10"), 0.1),
        (Decimal(10**30 + 1), 10**30 + 1),
        (Decimal("-1e-400"), 0),
        (2.0, 2),
        (0.5, 0.5),
        (float(2**53 - 1), 2**53 - 1),
        (2.0**53, 2.0**53),
        (math.inf, None),
        (math.nan, None),
    ],
)
def test_a_number_is_whole_if_it_can_be_and_null_if_it_is_not_finite(
    value: Decimal | float | None, expected: Number
) -> None:
    shown = number(value)
    assert (shown, type(shown)) == (expected, type(expected))


def test_numbers_are_added_to_the_last_digit() -> None:
    far_apart = added([Decimal("1e40"), Decimal("1e-40")])
    assert f"{far_apart:f}" == f"1{'0' * 40}.{'0' * 39}1"
    assert str(added([Decimal("0.10"), 2])) == "2.10"
    assert int(added([10**60, 1])) == 10**60 + 1
    assert added([]) == 0
