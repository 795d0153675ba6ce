"""Text → values of fields."""

import msgspec
import pytest

from analytics.importing.literals import field_value
from analytics.protocols.metadata import encode


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("user_id", "5", "5"),
        ("user_id", "null", "null"),
        ("metadata.a", "5", 5),
        ("metadata.a", "True", True),
        ("metadata.a", "null", None),
        ("metadata.a", '{"k": 1}', {"k": 1}),
        ("metadata.a", '{"k": 1', '{"k": 1'),
        ("metadata.timestamp", "1793527200", 1793527200),
        ("timestamp", "1793527200", 1793527200),
        ("timestamp", "1793527200.5", "1793527200.5"),
        ("metadata", '{"k": 1}', {"k": 1}),
        ("metadata", "[1]", [1]),
        ("metadata", "word", "word"),
    ],
)
def test_a_text_is_the_value_that_its_field_makes_of_it(
    field: str, text: str, value: object
) -> None:
    assert msgspec.json.decode(encode(field_value(field, text))) == value


@pytest.mark.parametrize("text", ["null", "NULL", " null "])
def test_null_is_no_metadata(text: str) -> None:
    assert field_value("metadata", text) is None
