"""OpenAPI 3.1: what every description of an address is made of.

Each part of the platform describes its own addresses (`Part`); `document` puts them together.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

JSON = "application/json"
Object = dict[str, Any]
"""A JSON object of the document."""

SchemaOf = Callable[[Any], Object]
"""From a type to its schema: mostly a reference to a component of its name."""


class Part(NamedTuple):
    """The addresses of one part of the platform."""

    types: Sequence[Any]
    """All that `paths` asks schemas for; their names must differ from those of other parts."""
    paths: Callable[[SchemaOf], Object]


class Fault(msgspec.Struct, frozen=True):
    """What went wrong: `code` for programs, `message` for people, the parameter in `field`."""

    code: str
    message: str
    field: str | msgspec.UnsetType = msgspec.UNSET


class Failure(msgspec.Struct, frozen=True):
    """The body of every error."""

    error: Fault


def document(about: Object, parts: Iterable[Part]) -> Object:
    """The document of these parts. `about` has its other fields; its components are kept."""
    parts = list(parts)
    types = list(dict.fromkeys([Failure, *(kind for part in parts for kind in part.types)]))
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schema_of = dict(zip(types, schemas, strict=True)).__getitem__
    paths: Object = {}
    for part in parts:
        paths |= part.paths(schema_of)
    known = about.get("components", {})
    whole = {**about, "paths": paths, "components": {"schemas": components, **known}}
    return {name: _opened(value) for name, value in whole.items()}


def _opened(value: Any) -> Any:
    """The same, but objects that may hold anything say so.

    Without that, generators of TypeScript take them for objects that hold nothing.
    """
    if isinstance(value, list | tuple):
        return [_opened(part) for part in value]
    if not isinstance(value, dict):
        return value
    parts = {name: _opened(part) for name, part in value.items()}
    if value.get("type") == "object" and "properties" not in value:
        parts.setdefault("additionalProperties", {})
    return parts


def header(description: str, kind: str = "string", *, required: bool = True) -> Object:
    """A header of a response."""
    return {"description": description, "required": required, "schema": {"type": kind}}


RETRY_AFTER = {"Retry-After": header("Seconds", "integer")}
HEADERS = {
    "401": {"WWW-Authenticate": header("`Bearer`")},
    "429": RETRY_AFTER,
    "503": RETRY_AFTER,
}
"""Of errors, by status."""


def response(
    description: str,
    contents: Mapping[str, Object] | None = None,
    headers: Mapping[str, Object] | None = None,
) -> Object:
    """A response; `contents` are the schemas of its media types."""
    described: Object = {"description": description}
    if contents:
        described["content"] = {kind: {"schema": schema} for kind, schema in contents.items()}
    return {**described, "headers": headers} if headers else described


def failures(texts: Mapping[str, str], schema_of: SchemaOf) -> Object:
    """The responses of errors, from status to when it comes."""
    return {
        status: response(text, {JSON: schema_of(Failure)}, HEADERS.get(status))
        for status, text in texts.items()
    }
