"""A sender's values and names as ours: nothing is lost, and nothing hides another."""

from decimal import Decimal
from typing import Any

import pytest

from analytics.protocols.fields import joined, kind_of, renamed, rest, text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "7"),
        (Decimal("1.50"), "1.50"),
        ("", None),
        (None, None),
        (True, True),
        (["x"], ["x"]),
        ("0", "0"),
    ],
)
def test_a_number_is_taken_for_its_text(value: Any, said: Any) -> None:
    assert text(value) == said
    assert type(text(value)) is type(said)


@pytest.mark.parametrize(
    ("properties", "context", "metadata"),
    [
        (None, {"$a": 1, "$b": None, "$c": "", "$d": {}, "$e": [], "$f": 0}, {"$a": 1, "$f": 0}),
        ({"x": None}, {"$a": 1}, {"x": None, "$a": 1}),
        ({"$a": 1, "x": 2}, {"$a": 1}, {"$a": 1, "x": 2}),
        ({"$a": 2, "x": 2}, {"$a": 1}, {"$a": 1, "x": 2, "$properties": {"$a": 2}}),
        ({"$a": 2}, {"$a": None}, {"$a": 2}),
        ("text", {"$a": 1}, {"$a": 1, "$properties": "text"}),
        ([], {}, {"$properties": []}),
    ],
)
def test_properties_and_context_stand_side_by_side_and_neither_hides_the_other(
    properties: Any, context: dict[str, Any], metadata: dict[str, Any]
) -> None:
    assert joined(properties, context) == metadata


def test_fields_get_the_names_that_metadata_has_for_them() -> None:
    assert renamed({"utm_source": "x", "other": 1}, {"utm_source": "$s", "gone": "$g"}) == {
        "$s": "x"
    }
    assert rest({"used": 1, "plain": 2, "$own": 3}, {"used"}) == {"$plain": 2, "$own": 3}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("$view", ("page", "view")),
        ("buy", ("track", "buy")),
        (None, ("track", None)),
        ([], ("track", [])),
    ],
)
def test_an_event_of_no_known_name_is_tracked_under_its_own(name: Any, kind: Any) -> None:
    assert kind_of(name, {"$view": ("page", "view")}) == kind
