"""The sentences of a Markdown page, so that their length can be measured.

`python -m tests.prose [PAGE ...]` prints every sentence of more than 25 words, and a count.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAX_WORDS = 25

ROOT = Path(__file__).parents[1]

_CODE_BLOCK = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_CODE = re.compile(r"`[^`]*`")
_BLOCK_START = re.compile(r"^\s*(?:[-*+]|\d+\.|#+|>|\|)")
_SENTENCE_END = re.compile(r"(?<=[.!?])[)\"”*_]*\s+(?=[A-Z`*_\"“(\[\d])")
_ABBREVIATION = re.compile(r"\b(e\.g|i\.e|etc|vs|approx)\.", re.IGNORECASE)


class Sentence(NamedTuple):
    """One sentence, the line its block begins on (from 1), and how many words it has."""

    line: int
    text: str
    words: int


def sentences(page: str) -> Iterator[Sentence]:
    """Every sentence of a page. Code blocks are left out; a code span is one word; a table cell,
    a heading and a list item each end a sentence.
    """
    for line, block in _blocks(page):
        plain = _CODE.sub("CODE", _LINK.sub(r"\1", block))
        plain = _ABBREVIATION.sub(lambda match: match[1], plain)
        for text in _SENTENCE_END.split(plain):
            words = [word for word in text.split() if re.search(r"\w", word)]
            if words:
                yield Sentence(line, " ".join(text.split()), len(words))


def _blocks(page: str) -> Iterator[tuple[int, str]]:
    """Paragraphs, list items, headings and table cells, each with its first line's number."""
    blank = _COMMENT.sub(_keep_lines, _CODE_BLOCK.sub(_keep_lines, page))
    begun, lines = 0, list[str]()
    for number, line in enumerate([*blank.splitlines(), ""], 1):
        indented = _INDENTED.fullmatch(line) and not lines
        if not line.strip() or indented or _BLOCK_START.match(line):
            if lines:
                yield begun, " ".join(lines)
            lines = []
        if line.lstrip().startswith("|"):
            for cell in re.split(r"(?<!\\)\|", line):
                yield number, cell
        elif line.strip() and not indented:
            begun = begun if lines else number
            lines.append(re.sub(_BLOCK_START, "", line, count=1).strip())


def _keep_lines(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def pages() -> list[Path]:
    """Every page that people read."""
    top = [ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")]
    return sorted([*top, *(ROOT / "docs").rglob("*.md")])


def main(paths: list[str]) -> None:
    total = long = 0
    for path in map(Path, paths or map(str, pages())):
        for sentence in sentences(path.read_text()):
            total += 1
            if sentence.words > MAX_WORDS:
                long += 1
                print(f"{path}:{sentence.line}: {sentence.words} words: {sentence.text}")
    print(f"{long} of {total} sentences have more than {MAX_WORDS} words")


if __name__ == "__main__":
    main(sys.argv[1:])
