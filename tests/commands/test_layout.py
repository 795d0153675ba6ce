"""Tables that fit: no line is too wide, nothing exact is cut, columns stand below each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from analytics.commands.layout import Column, cut, laid_out, records, wrapped
from analytics.terminal import visible
from tests.examples import examples

WORDS = st.text(max_size=30)


@st.composite
def tables(draw: st.DrawFn) -> list[Column]:
    rows = draw(st.integers(0, 3))
    cells = st.lists(WORDS, min_size=rows, max_size=rows)
    return [
        Column(draw(WORDS), draw(cells), right=draw(st.booleans()), whole=draw(st.booleans()))
        for _ in range(draw(st.integers(1, 6)))
    ]


@given(tables(), st.integers(20, 100))
@examples(300)
def test_no_line_is_wider_than_asked(columns: list[Column], width: int) -> None:
    for line in [*laid_out(columns, width), *records(columns, width)]:
        assert cell_len(line.text) <= width
        assert line.text == visible(line.text)


@given(
    st.lists(st.integers(0, 10**12) | st.integers(10**9, 10**12), min_size=2, max_size=8),
    st.integers(20, 100),
)
@examples(200)
def test_numbers_are_whole_at_any_width(numbers: list[int], width: int) -> None:
    texts = [f"{number:,}" for number in numbers]
    columns = [Column("name", ["a name that is long enough to be cut"])]
    columns += [Column("n", [text], right=True, whole=True) for text in texts]
    shown = [word for line in laid_out(columns, width) for word in line.text.split()]
    assert all(text in shown for text in texts)


def test_wide_and_combining_characters_do_not_move_the_next_column() -> None:
    names = ["abc", "日本語", "e\u0301te\u0301", "👍🏽", "🇩🇪", "a\u200bb"]
    lines = list(laid_out([Column("name", names), Column("n", ["|"] * len(names))], 40))
    assert {cell_len(line.text.partition("|")[0]) for line in lines[1:]} == {10}


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日 …"),
    ],
)
def test_what_does_not_fit_ends_with_a_mark(text: str, width: int, expected: str) -> None:
    assert cut(text, width) == expected


def test_text_is_broken_at_blanks_only() -> None:
    assert wrapped("one two  three-hundred four", 9) == ["one two ", "three-hu…", "four"]
    assert wrapped("", 9) == [""]


def test_headings_are_broken_before_text_is_cut_and_text_before_a_table_becomes_records() -> None:
    columns = [
        Column("page", ["/a/long/path/to/something", "/"]),
        Column("sum of everything before", ["1,234", "5"], right=True, whole=True),
    ]
    assert [line.text for line in laid_out(columns, 40)] == [
        "                                  sum of",
        "                              everything",
        "page                              before",
        "/a/long/path/to/something          1,234",
        "/                                      5",
    ]
    assert [line.text for line in laid_out(columns, 30)] == [
        "                        sum of",
        "                    everything",
        "page                    before",
        "/a/long/path/to/s…       1,234",
        "/                            5",
    ]


@pytest.mark.parametrize("totals", [0, 1, 2])
def test_the_heading_and_the_totals_stand_out(totals: int) -> None:
    lines = list(laid_out([Column("n", ["1", "2", "3"])], 40, totals))
    assert [bool(line.style) for line in lines] == [True] + [False] * (3 - totals) + [True] * totals


def test_a_word_of_a_heading_is_cut_only_where_it_is_very_long() -> None:
    names = ["a" * 24, f"{'b' * 25} before"]
    columns = [Column("time", ["2026-11-02"])]
    columns += [Column(name, ["1"], right=True, whole=True) for name in names]
    assert [line.text for line in laid_out(columns, 62)] == [
        f"                                      {'b' * 23}…",
        f"time        {'a' * 24}                    before",
        "2026-11-02                         1                         1",
    ]


def test_the_heading_of_a_record_is_broken_too() -> None:
    columns = [Column("sum of everything", ["1"]), Column("text", ["one two three four"])]
    assert [line.text for line in records(columns, 24)] == [
        "sum of        1",
        "everything",
        "text          one two",
        "              three four",
    ]


def test_without_rows_the_headings_are_there_at_any_width() -> None:
    columns = [Column(name, []) for name in ("one", "two", "three", "four", "five")]
    assert [line.text for line in laid_out(columns, 40)] == ["one  two  three  four  five"]
    assert [line.text for line in laid_out(columns, 20)] == ["one two three four", "five"]
