"""The decisions: one form for every page, numbers without gaps, an index that lists them all."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
SECTIONS = ["The question", "The decision", "Why", "What it costs", "What follows"]


class Entry(NamedTuple):
    """What a page says of itself, and the index of the page."""

    number: int
    title: str
    file: str
    status: str
    date: str


def entry(page: Path) -> Entry:
    text = page.read_text()
    head = re.match(
        r"# (\d+)\. (.+)\n"
        r"\nStatus: (proposed|accepted|superseded by \d+)\n"
        r"\nDate: (\d{4}-\d\d-\d\d)\n\n",
        text,
    )
    assert head, f"{page.name} does not begin as docs/decisions/README.md shows"
    return Entry(int(head[1]), head[2], page.name, head[3], head[4])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_a_title_a_status_a_date_and_the_sections_of_all(page: Path) -> None:
    assert f"{entry(page).number:04}" == page.name[:4]
    assert re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE) == SECTIONS


def test_the_numbers_have_no_gaps() -> None:
    assert [entry(page).number for page in PAGES] == list(range(1, len(PAGES) + 1))


def test_a_page_is_superseded_by_one_that_exists() -> None:
    later = {
        int(number)
        for page in PAGES
        for number in re.findall(r"superseded by (\d+)", entry(page).status)
    }
    assert later <= {entry(page).number for page in PAGES}


def test_the_index_lists_every_page_in_order_with_its_title_status_and_date() -> None:
    rows = re.findall(
        r"^\| (\d+) \| \[(.+)\]\((.+)\) \| (.+) \| (.+) \|$",
        (FOLDER / "README.md").read_text(),
        re.MULTILINE,
    )
    assert [Entry(int(number), *rest) for number, *rest in rows] == [entry(page) for page in PAGES]
