"""A sender's fields on their way to ours: values as we have them, and names as metadata does."""

from collections.abc import Container, Mapping
from typing import Any

from analytics.protocols import numbers
from analytics.protocols.protocol import EventError

Names = Mapping[str, str]
"""A protocol's name of something → its name in metadata."""


def text(value: Any) -> Any:
    """A number as text, without exponent, and an empty text as None; anything else as it is."""
    if numbers.is_number(value):
        return numbers.written(value)
    return None if value == "" else value


def first(*values: Any) -> Any:
    """The first of several values that is neither null nor an empty text; None where none is."""
    return next((value for value in values if value not in (None, "")), None)


def joined(properties: Any, context: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata: properties and context side by side, without empty context.

    A property whose name the context also has, with another value, goes into `$properties`.
    """
    given = {name: value for name, value in context.items() if value not in (None, "", {}, [])}
    if properties is None:
        return given
    if not isinstance(properties, dict):
        return given | {"$properties": properties}
    hidden = {
        name: properties[name]
        for name in given
        if name in properties and properties[name] != given[name]
    }
    return {**properties, **given, **({"$properties": hidden} if hidden else {})}


UTM: Names = {
    f"utm_{name}": f"$utm_{name}" for name in ("source", "medium", "campaign", "term", "content")
}
"""Campaign parameters of an address, as several libraries send them."""


def renamed(source: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """The fields of `source` that are in `names`, under their names in metadata."""
    return {name: source[given] for given, name in names.items() if given in source}


def rest(source: Mapping[str, Any], used: Container[str | None]) -> dict[str, Any]:
    """The other fields of `source`, each under its own name with a `$` before it."""
    return {
        name if name.startswith("$") else f"${name}": value
        for name, value in source.items()
        if name not in used
    }


def without(source: Mapping[str, Any], used: Container[str]) -> dict[str, Any]:
    """A copy without the fields in `used`."""
    return {name: value for name, value in source.items() if name not in used}


def kind_of(name: Any, kinds: Mapping[str, tuple[str, str]]) -> tuple[str, Any]:
    """The type and action of an event by its name; of a name that is not in `kinds`: a track."""
    return kinds.get(name, ("track", name)) if isinstance(name, str) else ("track", name)


def item(value: Any) -> dict[str, Any]:
    """An item that is an object. Raises EventError for anything else."""
    if not isinstance(value, dict):
        raise EventError("wrong_type", None, "an event must be an object")
    return value
