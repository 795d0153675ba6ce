"""Ids that we make: in order and never twice, or always the same for the same values."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from analytics.protocols.ids import first_id, id_of, joint_id, uuid7s
from analytics.protocols.numbers import constant
from tests.bodies import GOOD, NOW, decode


def test_new_ids_are_uuid7_in_order() -> None:
    ids = [event.id for event in decode([GOOD] * 1000).events]
    assert ids == sorted(set(ids))
    assert {id.version for id in ids} == {7}
    assert {id.variant for id in ids} == {"specified in RFC 4122"}
    assert ids[0].int >> 80 == int(NOW.timestamp() * 1000)
    assert max(uuid7s(100, NOW)) < min(uuid7s(100, NOW + timedelta(milliseconds=1)))
    assert len({id for _ in range(5_000) for id in uuid7s(1, NOW)}) == 5_000, (
        "more than twelve bits tell collectors of one millisecond apart"
    )
    assert uuid7s(0, NOW) == []


@pytest.mark.parametrize(
    ("value", "id_"),
    [
        *(("u", "u"), ("0", "0"), ("null", "null"), (" ", " ")),
        *((42, "42"), (0, "0"), (Decimal("1.5"), "1.5"), (Decimal("1E-9"), "0.000000001")),
        *(
            (nobody, None)
            for nobody in (None, "", True, False, constant("NaN"), {}, {"a": 1}, [], ["u"])
        ),
    ],
)
def test_an_id_is_a_text_or_a_number_and_anything_else_is_nobodys(
    value: Any, id_: str | None
) -> None:
    assert id_of(value) == id_
    assert first_id(None, False, value, "later") == ("later" if id_ is None else value)


def test_of_no_ids_none_is_the_first() -> None:
    assert first_id() is first_id(None, {}, True) is None


def test_an_id_of_several_values_follows_from_each_of_them_as_it_was_sent() -> None:
    assert joint_id("i-1", "d1") == joint_id("i-1", "d1")
    values: list[tuple[Any, ...]] = [
        ("i-1", "d1"),
        ("d1", "i-1"),
        ("i-1d1",),
        ("i-1", None),
        ("i-1", "None"),
    ]
    values += [
        ("i", 1),
        ("i", "1"),
        ("i", Decimal("1.0")),
        ("i", ["1"]),
        ("i\ud83d",),
        ("i\ud83e",),
    ]
    assert len({joint_id(*each) for each in values}) == len(values)
    assert joint_id("i-1", "d1") == UUID("869c6614-b20f-5508-b2b6-7bdf81ea8196"), (
        "the form is fixed for ever"
    )
