"""Characters that cannot be stored: named, or mended so that nothing else is lost."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.protocols.characters import described, mended, unfit
from tests.examples import examples

WHOLE = 33


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("\0", "a NUL (U+0000) as character 1"),
        ("caf\ud83d", "a lone surrogate (U+D83D) as character 4"),
        ("é\udfff\0", "a lone surrogate (U+DFFF) as character 2"),
        (
            "caf\udce9",
            "a byte that is not UTF-8 (0xE9) or a lone surrogate (U+DCE9) as character 4",
        ),
    ],
)
def test_the_first_bad_character_is_named(text: str, what: str) -> None:
    assert unfit(text)
    assert described(text) == what


def test_a_bad_character_far_from_the_beginning_is_found_at_once() -> None:
    text = "x" * 5_000_000 + "\0"
    began = time.process_time()
    assert described(text) == "a NUL (U+0000) as character 5000001"
    assert time.process_time() - began < 0.2  # it takes milliseconds


@pytest.mark.parametrize("text", ["", "café 😀", "\ufffd", "\x01\n", "\ue000"])
def test_every_other_text_is_left_as_it_is(text: str) -> None:
    assert not unfit(text)
    assert mended({text: text}, WHOLE) == {text: text}


def test_each_bad_character_becomes_one_replacement_in_keys_and_values_of_any_depth() -> None:
    given = {"a\0": [{"b\ud83d\udce9": "\0\0x"}, 5, None, True], "c": "\udfff"}
    assert mended(given, WHOLE) == {
        "a\ufffd": [{"b\ufffd\ufffd": "\ufffd\ufffdx"}, 5, None, True],
        "c": "\ufffd",
    }


def test_keys_that_mending_makes_equal_keep_their_values_and_a_good_key_its_name() -> None:
    keys = ("a\0", "a\ud83d", "a\ufffd", "a\udfff", "a\ufffd3")
    given = dict(zip(keys, range(1, 6), strict=True))
    assert mended(given, WHOLE) == {
        "a\ufffd2": 1,
        "a\ufffd4": 2,
        "a\ufffd": 3,
        "a\ufffd5": 4,
        "a\ufffd3": 5,
    }


def test_many_equal_keys_cost_no_more_than_many_others() -> None:
    keys = [chr(0xD800 + high) + chr(0xD800 + low) for high in range(200) for low in range(50)]
    names = mended(dict.fromkeys(keys, 1), WHOLE)
    assert len(names) == len(keys)
    assert max(map(len, names)) <= len("\ufffd\ufffd10000")


def test_what_nests_too_deep_is_left_to_be_refused() -> None:
    deep: Any = "\0"
    for _ in range(5_000):
        deep = [deep]
    assert mended(deep, WHOLE)


values = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from("a\0\ud800\udce9\ufffd2"), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.sampled_from("a\0\ud800\ufffd2"), max_size=3), inner)
    ),
    max_leaves=20,
)


def _size(value: Any) -> int:
    """How many values a value holds."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_size, inner))


@examples(300)
@given(values)
def test_what_is_mended_can_be_stored_and_has_as_many_values(value: Any) -> None:
    good = mended(value, WHOLE)
    assert not unfit(str(good))
    assert _size(good) == _size(value)
    assert mended(good, WHOLE) == good
