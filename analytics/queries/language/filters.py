"""Filters: how `event=` and `where=` are written, and the conditions on rows that they become."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Text, and_, any_, false, func, literal, or_, true
from sqlalchemy.dialects.postgresql import ARRAY

from analytics.queries.language.fields import Field, decode
from analytics.tables import raw_events

Condition = ColumnElement[bool]

MAX_PATTERN = 200
"""Characters of a regular expression."""

MAX_EXPONENT = 1000
"""Of a number, to the base of 10."""

_BACK_REFERENCE = re.compile(r"(?:[^\\]|\\[^1-9])*\\[1-9]", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")


class EventFilter(msgspec.Struct, frozen=True):
    """`TYPE[:ACTION]`; of several, separated by commas, any may match; `*` matches any name.

    In `pairs` None stands for `*`.
    """

    examples: ClassVar = ("page", "account:signup,*:paid")

    text: str
    pairs: tuple[tuple[str | None, str | None], ...]

    @classmethod
    def read(cls, text: str) -> "EventFilter":
        """Raises ValueError for an empty name, or more than two names in one part."""
        return cls(text, tuple(cls._pair(part) for part in text.split(",")))

    @staticmethod
    def _pair(text: str) -> tuple[str | None, str | None]:
        names = text.split(":")
        if len(names) > 2 or "" in names:
            raise ValueError(
                "an event is TYPE or TYPE:ACTION, * for any; "
                "a `:` or `,` inside a name is written %3A or %2C"
            )
        type_, action = (None if name == "*" else decode(name) for name in (*names, "*")[:2])
        return type_, action

    @property
    def terms(self) -> int:
        """How many terms it becomes in SQL."""
        return len(self.pairs)

    @property
    def everything(self) -> bool:
        """Whether all events match."""
        return (None, None) in self.pairs

    @property
    def condition(self) -> Condition:
        return true() if self.everything else or_(*(_is_event(*pair) for pair in self.pairs))

    def match(self, type_: str, action: str) -> bool:
        """Whether an event with these names matches."""
        return any((t is None or t == type_) and (a is None or a == action) for t, a in self.pairs)


ANY_EVENT = EventFilter("*", ((None, None),))


def both(one: EventFilter, other: EventFilter) -> EventFilter | None:
    """The intersection where it is trivial. None: not expressible, maybe not empty."""
    if other.everything or one.pairs == other.pairs:
        return one
    return other if one.everything else None


def _is_event(type_: str | None, action: str | None) -> Condition:
    names = ((raw_events.c.event_type, type_), (raw_events.c.event_action, action))
    return and_(*(column == literal(name, Text) for column, name in names if name is not None))


class Operator(NamedTuple):
    """How an operator's values are read, and the condition on a field that it becomes.

    `read` gets the text after the operator, or None if there is none.
    """

    read: Callable[[str | None], tuple[Any, ...]]
    condition: Callable[[Field, Sequence[Any]], Condition]


def _required(text: str | None) -> str:
    if text is None:
        raise ValueError("this operator needs a value after its dot")
    return text


def _several(text: str | None) -> tuple[str, ...]:
    return tuple(map(decode, _required(text).split(",")))


def _one(text: str | None) -> str:
    return decode(_required(text))


def _pattern(text: str | None) -> tuple[str]:
    pattern = _one(text)
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has at most {MAX_PATTERN} characters")
    if _BACK_REFERENCE.match(pattern):
        raise ValueError("a pattern must not hold back-references")
    return (pattern,)


def _number(text: str | None) -> tuple[Decimal]:
    number = _one(text)
    if not _NUMBER.fullmatch(number) or abs((value := Decimal(number)).adjusted()) > MAX_EXPONENT:
        raise ValueError(f"{number[:50]!r} is not a number")
    return (value,)


def _nothing(text: str | None) -> tuple[()]:
    if text is not None:
        raise ValueError("this operator takes no value")
    return ()


def _equals(field: Field, values: Sequence[str]) -> Condition:
    return field.value == any_(literal(list(values), ARRAY(Text)))


def _contains(field: Field, values: Sequence[str]) -> Condition:
    return or_(*(func.strpos(field.value, literal(value, Text)) > 0 for value in values))


def _matches(field: Field, values: Sequence[str]) -> Condition:
    return field.value.op("~", is_comparison=True)(literal(values[0], Text))


def _is_set(field: Field, _: Sequence[str]) -> Condition:
    return field.value.is_not(None)


def _compared(sign: str) -> Callable[[Field, Sequence[Decimal]], Condition]:
    return lambda field, values: (
        field.number.op(sign, is_comparison=True)(values[0]) if field.keys else false()
    )


def _complement(
    condition: Callable[[Field, Sequence[Any]], Condition],
) -> Callable[[Field, Sequence[Any]], Condition]:
    """All other rows, those without the field included."""
    return lambda field, values: condition(field, values).is_not(true())


OPERATORS = {
    "eq": Operator(_several, _equals),
    "in": Operator(_several, _equals),
    "ne": Operator(_several, _complement(_equals)),
    "nin": Operator(_several, _complement(_equals)),
    "contains": Operator(_several, _contains),
    "ncontains": Operator(_several, _complement(_contains)),
    "re": Operator(_pattern, _matches),
    "gt": Operator(_number, _compared(">")),
    "gte": Operator(_number, _compared(">=")),
    "lt": Operator(_number, _compared("<")),
    "lte": Operator(_number, _compared("<=")),
    "set": Operator(_nothing, _is_set),
    "unset": Operator(_nothing, _complement(_is_set)),
}


class Where(msgspec.Struct, frozen=True):
    """`FIELD.OP[.VALUES]`, as in `metadata.plan.eq.pro`; with several, all must hold.

    The operator is the first word that can be one, after the field and at least one key of
    metadata.
    """

    examples: ClassVar = ("metadata.plan.in.pro,team", "user_id.set")

    text: str
    field: Field
    operator: str
    values: tuple[Any, ...]

    @classmethod
    def read(cls, text: str) -> "Where":
        """Raises ValueError for an unknown field or operator, or a value not of its kind."""
        words = text.split(".")
        first = 2 if decode(words[0]) == "metadata" else 1
        at = next((i for i, word in enumerate(words) if i >= first and word in OPERATORS), None)
        if at is None:
            Field.of(words[:first])
            raise ValueError(
                f"no operator in {text[:100]!r}; "
                f"it is FIELD.OP.VALUES, with OP one of {', '.join(OPERATORS)}"
            )
        values = ".".join(words[at + 1 :]) if at + 1 < len(words) else None
        return cls(text, Field.of(words[:at]), words[at], OPERATORS[words[at]].read(values))

    @property
    def terms(self) -> int:
        """How many terms it becomes in SQL: a list of equal values is one, however long."""
        searched = len(self.values) if self.operator in ("contains", "ncontains") else 1
        return self.field.terms * searched

    @property
    def condition(self) -> Condition:
        return OPERATORS[self.operator].condition(self.field, self.values)

    @property
    def pattern(self) -> str | None:
        """The regular expression, if there is one; PostgreSQL decides whether it is valid."""
        return self.values[0] if self.operator == "re" else None
