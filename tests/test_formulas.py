"""Cells that a spreadsheet would calculate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.formulas import escaped
from tests.examples import examples


@pytest.mark.parametrize(
    "cell",
    [
        *("=1", "+a", "-a", "-", "@a", "\ta", "\ra", "\na", "-1-1", "-e5"),
        *("＝1", "＋1", "－1", "＠a"),
    ],
)
def test_what_begins_a_formula_is_made_text(cell: str) -> None:
    assert escaped(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a", "-5", "+5", "-.5", "-5.", "-1.5e-3", "a=1", "'=1", "{}"])
def test_numbers_and_other_text_stay(cell: str) -> None:
    assert escaped(cell) == cell


@given(st.text())
@examples(200)
def test_no_cell_becomes_a_formula_by_being_escaped(cell: str) -> None:
    assert escaped(escaped(cell)) == escaped(cell)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
@examples(200)
def test_every_number_stays_one(number: float) -> None:
    assert escaped(str(number)) == str(number)
