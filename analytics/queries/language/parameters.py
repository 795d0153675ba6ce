"""Parameters: from a query string to the struct of a query.

The type of each attribute of the struct says what its parameter may be. An error names the
parameter at fault.
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

from analytics import zones
from analytics.errors import BadRequest
from analytics.queries.language.fields import Field
from analytics.queries.language.filters import EventFilter, Where
from analytics.queries.language.query import Query

MAX_TERMS = 100
"""Terms that the parameters of one question may become in SQL.

Each takes part of a millisecond to write, for each measure and step, while nobody is answered.
"""

Q = TypeVar("Q", bound=Query)
Read = Callable[[str], Any]

MAX_NAME = 100
"""Characters of a parameter's name that an error repeats."""


class Value(NamedTuple):
    """What a query's struct declares about one parameter."""

    attribute: str
    """Its name in the struct."""
    type: Any
    """Of one value."""
    meta: msgspec.Meta | None
    """From `Annotated`."""
    repeats: bool
    required: bool
    default: Any


class Parameter(NamedTuple):
    """How one parameter is read."""

    attribute: str
    read: Read
    """From its text; raises ValueError."""
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
    """By the `read` of the value's own type; for plain types, by what `Annotated` says."""
    if typing.get_origin(value.type) is Literal:
        return _choice(typing.get_args(value.type))
    if value.type in (int, str):
        meta: Any = value.meta
        return _whole(meta.ge, meta.le) if value.type is int else _text(meta.max_length)
    if value.type is ZoneInfo:
        return zones.zone
    read: Read = zones.moment if value.type is datetime else value.type.read
    return read


@cache
def values_of(kind: type[Query]) -> Mapping[str, Value]:
    """The parameters that a query's struct declares, by name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    values = {}
    for field in msgspec.structs.fields(kind):
        hint, meta = hints[field.name], None
        repeats = typing.get_origin(hint) is tuple
        if repeats:
            hint = typing.get_args(hint)[0]
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            hint = next(option for option in typing.get_args(hint) if option is not type(None))
        if typing.get_origin(hint) is Annotated:
            hint, meta = typing.get_args(hint)
        values[field.encode_name] = Value(
            field.name, hint, meta, repeats, field.required, field.default
        )
    return values


@cache
def parameters(kind: type[Query]) -> Mapping[str, Parameter]:
    """How the parameters of a query are read, by name."""
    return {
        name: Parameter(value.attribute, _reader(value), value.repeats, value.required)
        for name, value in values_of(kind).items()
    }


def _pairs(query_string: bytes) -> Iterator[tuple[str, str]]:
    """Names and values of a query string, percent-decoded once.

    Raises BadRequest for a value that is not UTF-8.
    """
    for pair in query_string.split(b"&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition(b"=")
        name = unquote_plus(raw_name.decode(errors="replace"), errors="replace")[:MAX_NAME]
        try:
            value = unquote_plus(raw_value.decode(), errors="strict")
        except UnicodeDecodeError as error:
            raise BadRequest(
                f"{name}: it is not UTF-8", code="bad_parameter", field=name
            ) from error
        yield name, value


def read(
    kind: type[Q], query_string: bytes, path: Mapping[str, str], *, now: datetime, project: str
) -> Q:
    """The query of a query string and of the parameters in the path, with all defaults.

    Raises BadRequest that names the parameter which is unknown, repeated, invalid, missing or in
    conflict with another.
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
        if repeats:
            values.setdefault(attribute, []).append(value)
        else:
            values[attribute] = value
    for parameter in known.values():
        if parameter.repeats and parameter.attribute in values:
            values[parameter.attribute] = tuple(values[parameter.attribute])
    kind.complete(values, now, project)
    for name, parameter in known.items():
        if parameter.required and parameter.attribute not in values:
            raise BadRequest(f"{name} is missing", code="missing_parameter", field=name)
    query = kind(**values)
    _bound_terms(query)
    return query


def _bound_terms(query: Query) -> None:
    """Raises BadRequest for too many terms, and names the parameter that has most of them."""
    terms = {
        field.encode_name: terms_in(getattr(query, field.name))
        for field in msgspec.structs.fields(query)
    }
    if sum(terms.values()) > MAX_TERMS:
        name = max(terms, key=terms.__getitem__)
        raise BadRequest(
            f"{name}: a question may have {MAX_TERMS} events, conditions and keys of fields, "
            f"this one has {sum(terms.values()):,}",
            code="bad_parameter",
            field=name,
        )


def terms_in(value: Any) -> int:
    """How many terms a parameter's value becomes in SQL."""
    if isinstance(value, tuple):
        return sum(map(terms_in, value))
    if isinstance(value, EventFilter | Where | Field):
        return value.terms
    if isinstance(value, msgspec.Struct):
        return sum(terms_in(getattr(value, name)) for name in value.__struct_fields__)
    return 0
