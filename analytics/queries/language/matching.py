"""Filters without a database: `event` and `where` for one event in memory.

They mean exactly what they mean in SQL (`filters.py`). The operator `re` uses an automaton of our
own that reads PostgreSQL's dialect and takes linear time. Python's `re` reads another dialect, and
its backtracking has no bound.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from analytics.events import Event
from analytics.queries.language.automata import Pattern
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import EventFilter, Where
from analytics.queries.language.work import Work

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder()

_WRITTEN = 10
"""The work of writing a value as text, for each character of it."""

_CHARACTER_BYTES = 8
"""Of a filter: in its text and in its values, of four bytes each."""

_LOOKED_AT = 8
"""Characters that `contains` looks at in one step of work."""


class View:
    """An event as filters see it. What they need of its metadata is made once for all of them."""

    __slots__ = ("_metadata", "_texts", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._metadata: Any = None
        self._texts: dict[str, str | None] = {}

    def value(self, field: Field) -> Any:
        """The field's JSON value; None if absent or null."""
        if not field.keys:
            return getattr(self.event, field.column)
        if self._metadata is None:
            self._metadata = _decoder.decode(self.event.metadata)
        inside = self._metadata
        for key in field.keys:
            if not isinstance(inside, dict):
                return None
            inside = inside.get(key)
        return inside

    def text(self, field: Field, work: Work) -> str | None:
        """The field's value as `text` writes it; None if absent or null. Raises TooCostly."""
        if field.text not in self._texts:
            value = self.value(field)
            written = self._texts[field.text] = None if value is None else text(value)
            if not isinstance(value, str):
                work.spend(_WRITTEN * len(written or ""))
        return self._texts[field.text]


Test = Callable[[View, Work], bool]
"""May raise TooCostly."""


class Filter:
    """`event` and all of `where`, as one test of events in memory.

    Raises ValueError for a pattern that `patterns.py` cannot read.
    """

    def __init__(self, events: EventFilter, where: Sequence[Where]) -> None:
        tests = [_test(each) for each in where]
        self._tests = [_is_any_of(events.pairs), *(test for test, _ in tests)]
        texts = [events.text, *(each.text for each in where)]
        self.size_bytes = _CHARACTER_BYTES * sum(map(len, texts)) + sum(
            size_bytes for _, size_bytes in tests
        )
        """About what the filter takes in memory."""

    def __call__(self, view: View, work: Work) -> bool:
        return all(test(view, work) for test in self._tests)


def _is_any_of(pairs: Sequence[tuple[str | None, str | None]]) -> Test:
    known = frozenset(pairs)

    def test(view: View, _: Work) -> bool:
        type_, action = view.event.event_type, view.event.event_action
        return not known.isdisjoint(((type_, action), (type_, None), (None, action), (None, None)))

    return test


def _test(where: Where) -> tuple[Test, int]:
    """The test of a condition, and the bytes that its pattern takes, if it has one."""
    field = where.field
    if where.operator in ("gt", "gte", "lt", "lte"):
        compare = _COMPARISONS[where.operator]
        return (
            lambda view, _: (
                _is_number(value := view.value(field)) and compare(value, where.values[0])
            )
        ), 0
    build, expected = _TESTS[where.operator]
    test = build(where.values)
    size_bytes = test.size_bytes if isinstance(test, Pattern) else 0
    return (
        lambda view, work: (
            ((written := view.text(field, work)) is not None and test(written, work)) is expected
        )
    ), size_bytes


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


TextTest = Callable[[str, Work], bool]


def _equals(values: Sequence[str]) -> TextTest:
    known = frozenset(values)
    return lambda text, _: text in known


def _contains(values: Sequence[str]) -> TextTest:
    def test(text: str, work: Work) -> bool:
        work.spend(len(values) * (1 + len(text) // _LOOKED_AT))
        return any(value in text for value in values)

    return test


def _matches(values: Sequence[str]) -> TextTest:
    return Pattern(values[0])


def _anything(_: Sequence[str]) -> TextTest:
    return lambda text, work: True


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}

_TESTS: dict[str, tuple[Callable[[Sequence[str]], TextTest], bool]] = {
    "eq": (_equals, True),
    "in": (_equals, True),
    "ne": (_equals, False),
    "nin": (_equals, False),
    "contains": (_contains, True),
    "ncontains": (_contains, False),
    "re": (_matches, True),
    "set": (_anything, True),
    "unset": (_anything, False),
}
"""For each operator: a test of the value's text, and the result with which an event passes.

An absent value fails every test, so it passes every complement.
"""


def text(value: Any) -> str:
    """A JSON value as PostgreSQL's jsonb writes it, which filters compare; strings as they are."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value or abs(value), "f")
    if isinstance(value, dict):
        # jsonb sorts keys by length in bytes, then by bytes
        names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        items = (f"{_quoted(name)}: {_inside(value[name])}" for name in names)
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inside, value)) + "]"
    return _encoder.encode(value).decode()


def _inside(value: Any) -> str:
    return _quoted(value) if isinstance(value, str) else text(value)


def _quoted(value: str) -> str:
    return _encoder.encode(value).decode()
