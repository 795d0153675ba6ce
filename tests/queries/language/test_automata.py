"""Patterns take bounded time and memory, whatever they are and whatever they look at."""

import random
import time

import pytest

from analytics.queries.language.automata import MAX_PROGRAM, MAX_TEXT, Pattern, TooCostly


def test_a_pattern_has_so_many_instructions_and_no_more() -> None:
    """The match at the end is one of them, and so is each end of a branch."""
    assert Pattern("a{250}" + "b{249}").search("a" * 250 + "b" * 249)
    with pytest.raises(ValueError, match="the pattern repeats too much"):
        Pattern("a{250}" + "b{250}")
    assert MAX_PROGRAM == 500


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "a*a*a*a*a*a*a*b", "(.*)*(.*)*x", "(a?){120}a{120}$"]
)
def test_a_pattern_that_makes_others_go_back_for_ever_ends_soon(pattern: str) -> None:
    since = time.monotonic()
    Pattern(pattern).search("a" * 20_000 + "!")
    assert time.monotonic() - since < 10


def test_a_pattern_whose_states_explode_is_given_up() -> None:
    pattern = Pattern("[ab]*a[ab]{100}c")
    rng = random.Random(1)
    with pytest.raises(TooCostly):
        pattern.search("".join(rng.choice("ab") for _ in range(100_000)))


def test_a_text_beyond_the_limit_is_given_up() -> None:
    with pytest.raises(TooCostly):
        Pattern("a").search("b" * (MAX_TEXT + 1))


def test_the_steps_cached_of_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.queries.language.automata.MAX_CACHED_STEPS", 50)
    pattern = Pattern("^x+$")
    for code in range(1000, 3000):
        assert not pattern.search(chr(code) * 2)
    assert pattern._cached <= 60
    assert pattern.search("xx")
