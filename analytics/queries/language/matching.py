"""Filters without a database: what `event` and `where` mean for one event in memory, exactly as
`filters.py` says it in SQL.

`re` runs on an automaton of our own that reads PostgreSQL's dialect (`patterns.py`) in linear time:
Python's `re` differs from it, and goes back over a text without bound.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from analytics.events import Event
from analytics.queries.language.automata import Pattern
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import Events, Where

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder()


class View:
    """An event as filters see it; its metadata is decoded when first asked for."""

    __slots__ = ("_metadata", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._metadata: Any = None

    def value(self, field: Field) -> Any:
        """What the field holds, as JSON has it; None when absent or null."""
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


def matcher(events: Events, where: Sequence[Where]) -> Test:
    """One test for all of a filter. Raises ValueError for a pattern that cannot be read; the test
    raises TooCostly.
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
"""Operator → a test of the value's text, and the answer that it wants; an absent value passes no
test, so it passes every complement.
"""


def text(value: Any) -> str:
    """A JSON value as PostgreSQL's jsonb writes it, which is what filters compare; strings as they
    are.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value or abs(value), "f")
    if isinstance(value, dict):
        ordered = sorted(
            ((key.encode(), item) for key, item in value.items()),
            key=lambda pair: (len(pair[0]), pair[0]),
        )
        return (
            "{"
            + ", ".join(f"{_quoted(key.decode())}: {_inside(item)}" for key, item in ordered)
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_inside, value)) + "]"
    return _encoder.encode(value).decode()


def _inside(value: Any) -> str:
    return _quoted(value) if isinstance(value, str) else text(value)


def _quoted(value: str) -> str:
    return _encoder.encode(value).decode()
