"""Placeholders: what programs write where they have no id, however they spell it."""

from uuid import UUID

import pytest

from analytics.placeholders import WORDS, is_placeholder

NIL = UUID(int=0)


@pytest.mark.parametrize(
    "text",
    [
        *sorted(WORDS),
        *("NULL", "uNdEfInEd", "NaN", "None", "[object Object]", " null ", "undefined\n"),
        *(str(NIL), NIL.hex, f"{{{NIL}}}", f"urn:uuid:{NIL}", f" URN:UUID:{NIL} "),
    ],
)
def test_a_placeholder_is_one_in_every_spelling(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-0", "0.0", "00", "0" * 31, "0" * 33, "42", "nullnull", "n ull", str(UUID(int=1))],
)
def test_numbers_and_other_texts_may_be_ids(text: str) -> None:
    assert not is_placeholder(text)
