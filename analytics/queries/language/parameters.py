"""Parameters: a query string → the struct of a question. What a field may hold, its type says; what
is wrong is named.
"""

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar
from urllib.parse import unquote_plus
from zoneinfo import ZoneInfo

import msgspec

from analytics.errors import BadRequest
from analytics.queries.language import times
from analytics.queries.language.query import Query

A = TypeVar("A", bound=Query)
Read = Callable[[str], Any]

SHOWN = 100
"""Characters of a parameter's name that an error repeats."""


class Value(NamedTuple):
    """What a question's struct says of one parameter: its attribute there, its type, and what
    `Annotated` says of that.
    """

    attribute: str
    type: Any
    meta: msgspec.Meta | None
    repeats: bool
    required: bool
    default: Any


class Parameter(NamedTuple):
    """One parameter: the struct's attribute, how its text is read (raising ValueError), and whether
    it may be repeated.
    """

    attribute: str
    read: Read
    repeats: bool
    required: bool


def _whole(least: int, most: int) -> Read:
    def read(text: str) -> int:
        if not (
            text.isascii() and text.isdigit() and len(text) < 19 and least <= int(text) <= most
        ):
            raise ValueError(f"it is a whole number, {least:,} to {most:,}")
        return int(text)

    return read


def _choice(options: tuple[str, ...]) -> Read:
    def read(text: str) -> str:
        if text not in options:
            raise ValueError(f"it is one of {', '.join(options)}")
        return text

    return read


def _text(most: int) -> Read:
    def read(text: str) -> str:
        if not 0 < len(text) <= most:
            raise ValueError(f"it has 1 to {most} characters")
        return text

    return read


def _reader(value: Value) -> Read:
    """How a value is read: by its type's own `read`, or by what `Annotated` says of a plain type."""
    if typing.get_origin(value.type) is Literal:
        return _choice(typing.get_args(value.type))
    if value.type in (int, str):
        meta: Any = value.meta
        return _whole(meta.ge, meta.le) if value.type is int else _text(meta.max_length)
    return (
        times.zone
        if value.type is ZoneInfo
        else times.moment
        if value.type is datetime
        else value.type.read
    )


@cache
def values_of(kind: type[Query]) -> Mapping[str, Value]:
    """What a question can be asked with, by name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    found = {}
    for field in msgspec.structs.fields(kind):
        hint, meta = hints[field.name], None
        repeats = typing.get_origin(hint) is tuple
        if repeats:
            hint = typing.get_args(hint)[0]
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            hint = next(option for option in typing.get_args(hint) if option is not type(None))
        if typing.get_origin(hint) is Annotated:
            hint, meta = typing.get_args(hint)
        found[field.encode_name] = Value(
            field.name, hint, meta, repeats, field.required, field.default
        )
    return found


@cache
def parameters(kind: type[Query]) -> Mapping[str, Parameter]:
    """How they are read."""
    return {
        name: Parameter(value.attribute, _reader(value), value.repeats, value.required)
        for name, value in values_of(kind).items()
    }


def _pairs(query_string: bytes) -> Iterator[tuple[str, str]]:
    """Names and values of a query string, decoded once. Raises BadRequest where that is no text."""
    for pair in query_string.split(b"&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition(b"=")
        name = unquote_plus(raw_name.decode(errors="replace"), errors="replace")[:SHOWN]
        try:
            value = unquote_plus(raw_value.decode(), errors="strict")
        except UnicodeDecodeError as error:
            raise BadRequest(
                f"{name}: it is not UTF-8", code="bad_parameter", field=name
            ) from error
        yield name, value


def read(
    kind: type[A], query_string: bytes, path: Mapping[str, str], *, now: datetime, project: str
) -> A:
    """The question that a query string (and what stands in the path) asks, complete.

    Raises BadRequest naming the parameter that is unknown, repeated, wrong, missing or against
    another.
    """
    known = parameters(kind)
    values: dict[str, Any] = {}
    for name, text in (*path.items(), *_pairs(query_string)):
        if name not in known:
            raise BadRequest(
                f"there is no parameter {name!r} here; there are {', '.join(known)}",
                code="unknown_parameter",
                field=name,
            )
        attribute, read_one, repeats, _ = known[name]
        if attribute in values and not repeats:
            raise BadRequest(f"{name} is given twice", code="repeated_parameter", field=name)
        if "\0" in text:
            raise BadRequest(
                f"{name}: no event contains a NUL character", code="bad_parameter", field=name
            )
        try:
            value = read_one(text)
        except (ValueError, OverflowError) as error:
            raise BadRequest(f"{name}: {error}", code="bad_parameter", field=name) from error
        values[attribute] = (*values.get(attribute, ()), value) if repeats else value
    kind.complete(values, now, project)
    for name, parameter in known.items():
        if parameter.required and parameter.attribute not in values:
            raise BadRequest(f"{name} is missing", code="missing_parameter", field=name)
    return kind(**values)
