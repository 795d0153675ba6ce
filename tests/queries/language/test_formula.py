"""Formulas: the arithmetic that is read, and what it is when a number is missing."""

import pytest

from analytics.queries.language.formula import MAX_LENGTH, Formula
from analytics.queries.language.measures import Number

VALUES: dict[str, Number] = {"A": 6, "B": 4, "C": None, "D": 0, "E": 1e308, "F": 10**7}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", 6),
        ("A+B*2", 14),
        ("(A+B)*2", 20),
        ("A-B-1", 1),
        ("-A++B", -2),
        ("A/B", 1.5),
        ("A / 3", 2),
        (".5*B", 2),
        ("A+C", None),
        ("-C", None),
        ("A/D", None),
        ("E*E", None),
        ("A*" * 99 + "A", 6**100),
        ("F*" * 99 + "F", None),
        ("F*" * 98 + "F/F", None),
        ("A*" * 97 + "A*.5", 6.0**98 / 2),
    ],
)
def test_a_formula_is_arithmetic_and_null_where_there_is_no_number(
    text: str, expected: Number
) -> None:
    value = Formula.read(text).of(VALUES)
    assert (value, type(value)) == (expected, type(expected))


def test_a_formula_knows_the_series_that_it_names() -> None:
    assert Formula.read("(B+A)/B*100").names == {"A", "B"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A**2",
        "A//2",
        "A(1)",
        "a",
        "A,B",
        "1e3",
        "A=1",
        "(A",
        "A\n",
        "1J",
        "A*1J",
        "...",
        "0XFF",
        "1E9",
        "1E999",
        "AB",
        "A1",
        "1A",
        "1.2.3",
        "1..2",
        "A.B",
        "1" * 199 + "J",
        "(" * 199,
    ],
)
def test_anything_but_arithmetic_is_no_formula(text: str) -> None:
    with pytest.raises(ValueError, match="it is made of the series' letters"):
        Formula.read(text)


def test_a_formula_is_two_hundred_characters_at_most() -> None:
    assert Formula.read("-" * (MAX_LENGTH - 1) + "A").of(VALUES) == -6
    with pytest.raises(ValueError, match="at most 200 characters"):
        Formula.read("-" * MAX_LENGTH + "A")
