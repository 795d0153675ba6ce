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

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder()


class View:
    """An event as filters see it. Its metadata is decoded when a filter first needs it."""

    __slots__ = ("_metadata", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._metadata: Any = None

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


Test = Callable[[View], bool]


def matcher(events: EventFilter, where: Sequence[Where]) -> Test:
    """One test for `event` and all of `where`.

    Raises ValueError for a pattern that `patterns.py` cannot read. The test may raise TooCostly.
    """
    tests = [_is_any_of(events.pairs), *map(_test, where)]
    return lambda view: all(test(view) for test in tests)


def _is_any_of(pairs: Sequence[tuple[str | None, str | None]]) -> Test:
    def test(view: View) -> bool:
        event = view.event
        return any(
            (type_ is None or type_ == event.event_type)
            and (action is None or action == event.event_action)
            for type_, action in pairs
        )

    return test


def _test(where: Where) -> Test:
    field = where.field
    if where.operator in ("gt", "gte", "lt", "lte"):
        compare = _COMPARISONS[where.operator]
        return lambda view: (
            _is_number(value := view.value(field)) and compare(value, where.values[0])
        )
    build, expected = _TESTS[where.operator]
    test = build(where.values)
    return lambda view: ((value := view.value(field)) is not None and test(text(value))) is expected


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _equals(values: Sequence[str]) -> Callable[[str], bool]:
    return frozenset(values).__contains__


def _contains(values: Sequence[str]) -> Callable[[str], bool]:
    return lambda text: any(value in text for value in values)


def _matches(values: Sequence[str]) -> Callable[[str], bool]:
    return Pattern(values[0]).search


def _anything(_: Sequence[str]) -> Callable[[str], bool]:
    return lambda _: True


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}

_TESTS: dict[str, tuple[Callable[[Sequence[str]], Callable[[str], bool]], bool]] = {
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
