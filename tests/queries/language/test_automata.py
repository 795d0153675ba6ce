"""Patterns take bounded time and memory, whatever they are and whatever they look at."""

import gc
import math
import random
import tracemalloc
from collections.abc import Iterator

import pytest

from analytics.queries.language import automata
from analytics.queries.language.automata import MAX_PROGRAM, Pattern, caches
from analytics.queries.language.work import BURST_STEPS, TooCostly, Work

EXPLODING = "[ab]*a[ab]{100}c"


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    caches.clear()
    yield
    caches.clear()


def matches(pattern: str, text: str) -> bool:
    return Pattern(pattern)(text, Work())


def letters(number: int, seed: int = 1) -> str:
    return "".join(random.Random(seed).choices("ab", k=number))


def test_a_pattern_has_so_many_instructions_and_no_more() -> None:
    """The match at the end is one of them, and so is each end of a branch."""
    assert matches("a{250}" + "b{249}", "a" * 250 + "b" * 249)
    with pytest.raises(ValueError, match="the pattern repeats too much"):
        Pattern("a{250}" + "b{250}")
    assert MAX_PROGRAM == 500


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "a*a*a*a*a*a*a*b", "(.*)*(.*)*x", "(a?){120}a{120}$"]
)
def test_a_pattern_that_makes_others_go_back_for_ever_is_a_step_a_character(pattern: str) -> None:
    made, work, text = Pattern(pattern), Work(math.inf), "a" * 1_000 + "!"
    matched = made(text, work)
    work = Work()
    assert made(text, work) == matched
    closure = automata.STEPS_A_PLACE * MAX_PROGRAM
    assert len(text) <= BURST_STEPS - work.left <= len(text) + closure


def test_a_pattern_whose_states_explode_is_given_up_soon() -> None:
    with pytest.raises(TooCostly):
        Pattern(EXPLODING)(letters(100_000), Work())
    assert caches.size_bytes < automata.MAX_CACHED_BYTES


def test_a_text_longer_than_the_work_that_is_left_is_not_even_begun() -> None:
    work = Work()
    with pytest.raises(TooCostly):
        Pattern("a")("a" * (BURST_STEPS + 1), work)
    assert caches.size_bytes == 0


def test_all_patterns_together_cache_a_bounded_number_of_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 300_000
    monkeypatch.setattr(automata, "MAX_CACHED_BYTES", most)
    patterns = [Pattern(EXPLODING) for _ in range(20)]
    gc.disable()  # memory must come back without it
    tracemalloc.start()
    try:
        for pattern in patterns:
            for seed in range(20):
                pattern(letters(100, seed), Work(math.inf))
                assert caches.size_bytes <= most
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert held < 2 * most


def test_a_search_goes_on_when_the_caches_are_emptied_under_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [letters(60, seed) + "c" for seed in range(30)]
    expected = [matches("[ab]*a[ab]{20}c$", text) for text in texts]
    monkeypatch.setattr(automata, "MAX_CACHED_BYTES", 8_000)
    pattern, other = Pattern("[ab]*a[ab]{20}c$"), Pattern("x|^a")
    found = []
    for text in texts:
        found.append(pattern(text, Work()))
        assert other(text, Work()) == text.startswith("a")
    assert found == expected
    assert True in expected
    assert False in expected
