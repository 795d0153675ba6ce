"""PostgreSQL's regular expressions, parsed into a tree that `automata.py` runs.

The parser reads literals, `.`, bracket expressions, character classes, escapes, groups,
alternatives, quantifiers, anchors, word boundaries, and a leading `(?i)`. It refuses the rest
(look-around, octal and hexadecimal escapes, collating elements, other options), because a guess
could differ from PostgreSQL. Classes and case are those of ASCII, as in a database of the C locale.
"""

import sys
from collections.abc import Sequence
from string import hexdigits
from typing import NamedTuple

import msgspec

MAX_REPEAT = 255
"""The largest number in braces, as in PostgreSQL."""

Ranges = tuple[tuple[int, int], ...]
"""Of code points, both ends included."""

_DIGIT: Ranges = ((48, 57),)
_UPPER: Ranges = ((65, 90),)
_LOWER: Ranges = ((97, 122),)
_ALPHA = _UPPER + _LOWER
_WORD = (*_DIGIT, *_ALPHA, (95, 95))
_SPACE: Ranges = ((9, 13), (32, 32))
_PUNCT: Ranges = ((33, 47), (58, 64), (91, 96), (123, 126))
_POSIX: dict[str, Ranges] = {
    "digit": _DIGIT,
    "upper": _UPPER,
    "lower": _LOWER,
    "alpha": _ALPHA,
    "alnum": _DIGIT + _ALPHA,
    "space": _SPACE,
    "punct": _PUNCT,
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "graph": ((33, 126),),
    "print": ((32, 126),),
    "xdigit": ((48, 57), (65, 70), (97, 102)),
    "word": _WORD,
}
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "B": "\\",
    "e": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}
_HEXADECIMAL = set(hexdigits)
_ANCHORS = {"A": "^", "Z": "$", "y": "y", "Y": "Y", "m": "m", "M": "M"}


class Set(msgspec.Struct, frozen=True):
    """One character in these ranges; `negated`: outside of them."""

    ranges: Ranges
    negated: bool = False
    any_case: bool = False

    def holds(self, character: str) -> bool:
        """Whether a character matches."""
        code = ord(character)
        inside = self._has(code) or (
            self.any_case and character.isascii() and character.isalpha() and self._has(code ^ 32)
        )
        return inside != self.negated

    def _has(self, code: int) -> bool:
        return any(low <= code <= high for low, high in self.ranges)


class Anchor(NamedTuple):
    """A position between two characters, by its kind.

    `^` and `$`: the start and the end of the text. `m` and `M`: the start and the end of a word.
    `y`: either of the two. `Y`: neither of them.
    """

    kind: str

    def holds(self, before: str | None, after: str | None) -> bool:
        """Whether it matches between two characters; None stands for the ends of the text."""
        if self.kind in "^$":
            return (before if self.kind == "^" else after) is None
        word_before, word_after = is_word(before), is_word(after)
        return {
            "y": word_before != word_after,
            "Y": word_before == word_after,
            "m": word_after and not word_before,
            "M": word_before and not word_after,
        }[self.kind]


def is_word(character: str | None) -> bool:
    """Whether it is an ASCII letter, a digit or an underscore."""
    return (
        character is not None and character.isascii() and (character.isalnum() or character == "_")
    )


class Cat(NamedTuple):
    """All parts, one after the other."""

    parts: Sequence["Node"]


class Alt(NamedTuple):
    """One of the branches."""

    branches: Sequence["Node"]


class Repeat(NamedTuple):
    """A part, `least` to `most` times; None: without limit."""

    part: "Node"
    least: int
    most: int | None


Node = Set | Anchor | Cat | Alt | Repeat


class Parser:
    """Reads one pattern from left to right.

    Raises ValueError for all that PostgreSQL refuses, and for what the module does not read.
    """

    def __init__(self, pattern: str) -> None:
        self.any_case = pattern.startswith("(?i)")
        self.text = pattern[4:] if self.any_case else pattern
        self.at = 0
        if self.text.startswith("***"):
            raise ValueError("a pattern must not begin with ***")

    def read(self) -> Node:
        """The tree of the whole pattern."""
        tree = self._alternatives()
        if self.at < len(self.text):
            raise ValueError("a ) in the pattern closes nothing")
        return tree

    def _peek(self, length: int = 1) -> str:
        return self.text[self.at : self.at + length]

    def _take(self, what: str) -> bool:
        if self.text.startswith(what, self.at):
            self.at += len(what)
            return True
        return False

    def _next(self) -> str:
        if not (character := self._peek()):
            raise ValueError("the pattern ends too early")
        self.at += 1
        return character

    def _alternatives(self) -> Node:
        branches = [self._branch()]
        while self._take("|"):
            branches.append(self._branch())
        return Alt(branches) if len(branches) > 1 else branches[0]

    def _branch(self) -> Node:
        parts: list[Node] = []
        while (character := self._peek()) and character not in "|)":
            part = self._atom()
            bounds = self._quantifier()
            if bounds and isinstance(part, Anchor):
                raise ValueError("a quantifier in the pattern follows nothing that can repeat")
            parts.append(Repeat(part, *bounds) if bounds else part)
            if bounds and self._quantifier():
                raise ValueError("a quantifier in the pattern follows another")
        return Cat(parts)

    def _atom(self) -> Node:
        character = self._next()
        if character == "(":
            if self._peek() == "?" and not self._take("?:"):
                raise ValueError(
                    "the pattern may contain (?: and begin with (?i), but no other group with (? "
                    "is supported"
                )
            inside = self._alternatives()
            if not self._take(")"):
                raise ValueError("a ( in the pattern is not closed")
            return inside if not isinstance(inside, Anchor) else Cat([inside])
        if character in "*+?" or (character == "{" and _is_digit(self._peek())):
            raise ValueError("a quantifier in the pattern follows nothing that can repeat")
        if character in "^$":
            return Anchor(character)
        if character == ".":
            return Set((), negated=True)
        if character == "[":
            return self._bracket()
        return self._escape() if character == "\\" else self._literal(character)

    def _literal(self, character: str) -> Set:
        return Set(((ord(character), ord(character)),), any_case=self.any_case)

    def _escape(self) -> Node:
        character = self._next()
        if character in _ANCHORS:
            return Anchor(_ANCHORS[character])
        if character.lower() in _CLASSES:
            return Set(_CLASSES[character.lower()], negated=character.isupper())
        return self._literal(self._escaped(character))

    def _escaped(self, character: str) -> str:
        """The character that an escape stands for; `character` follows the backslash."""
        if character in "uU":
            length = 4 if character == "u" else 8
            digits = self._peek(length)
            self.at += len(digits)
            if len(digits) != length or not set(digits) <= _HEXADECIMAL:
                raise ValueError("an escape in the pattern is incomplete")
            if (code := int(digits, 16)) > sys.maxunicode:
                raise ValueError("an escape in the pattern is incomplete")
            return chr(code)
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character.isalnum():
            raise ValueError(f"the escape \\{character} in the pattern is not supported")
        return character

    def _quantifier(self) -> tuple[int, int | None] | None:
        bounds: tuple[int, int | None]
        if self._take("*"):
            bounds = (0, None)
        elif self._take("+"):
            bounds = (1, None)
        elif self._take("?"):
            bounds = (0, 1)
        elif self._peek() == "{" and _is_digit(self._peek(2)[1:]):
            bounds = self._braces()
        else:
            return None
        self._take("?")  # non-greedy: that changes where a text matches, not whether it does
        return bounds

    def _braces(self) -> tuple[int, int | None]:
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : max(end, 0)].partition(",")
        if not _is_digit(low) or (high and not _is_digit(high)):
            raise ValueError("braces in the pattern are not {m}, {m,} or {m,n}")
        least, most = int(low), int(high) if high else None if comma else int(low)
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            raise ValueError(
                f"braces in the pattern hold numbers out of order or above {MAX_REPEAT}"
            )
        self.at = end + 1
        return least, most

    def _bracket(self) -> Set:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            if self._take("[:"):
                name, _, _ = self.text[self.at :].partition(":]")
                if name not in _POSIX:
                    raise ValueError("the pattern names an unknown class of characters")
                self.at += len(name) + 2
                either = self.any_case and name in ("upper", "lower")
                ranges += _POSIX["alpha" if either else name]
            elif self._peek() == "\\" and self._peek(2)[1:] in _CLASSES:
                self.at += 1
                ranges += _CLASSES[self._next()]
            else:
                ranges.append(self._range(first=not ranges))
        self.at += 1
        return Set(tuple(ranges), negated, self.any_case)

    def _range(self, *, first: bool) -> tuple[int, int]:
        if self._peek() == "-" and not first and self._peek(2) != "-]":
            raise ValueError(
                "a - in the pattern's brackets stands first, last, or between two characters"
            )
        low = self._member()
        if self._peek() != "-" or self._peek(2) == "-]":
            return ord(low), ord(low)
        self.at += 1
        high = self._member()
        if high < low:
            raise ValueError("a range in the pattern's brackets is out of order")
        return ord(low), ord(high)

    def _member(self) -> str:
        character = self._next()
        if character == "[" and self._peek() in tuple(".=:"):
            raise ValueError("collating elements in a pattern are not supported")
        return self._escaped(self._next()) if character == "\\" else character


def _is_digit(text: str) -> bool:
    return text.isascii() and text.isdigit()
