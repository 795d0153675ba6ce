"""How the fields of a file become those of an event: `--map`, `--set`, `--tz`."""

import sys
from collections.abc import Container, Iterable
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from analytics.importing import times
from analytics.importing.literals import PREFIX, field_value
from analytics.protocols import metadata, validate
from analytics.protocols.clock import Clock
from analytics.protocols.protocol import EventError

REQUIRED = ("session_id", "event_type", "event_action")
FIELDS = (*REQUIRED, "user_id", "metadata", "timestamp", "id")


class Mapping(msgspec.Struct, frozen=True):
    """What the operator says about the lines of a file; by default nothing."""

    names: tuple[tuple[str, str], ...] = ()
    """(their field, ours); one of theirs may be several of ours."""
    constants: tuple[tuple[str, Any], ...] = ()
    """(our field, its value in every line), each field once."""
    zone: ZoneInfo | None = None
    """Of times without an offset."""

    @classmethod
    def of(
        cls,
        names: Iterable[tuple[str, str]] = (),
        constants: Iterable[tuple[str, str]] = (),
        zone: ZoneInfo | None = None,
    ) -> Self:
        """The mapping of these options.

        Raises ValueError for a constant that is empty, that stands twice, or that no event may
        have.
        """
        values: dict[str, Any] = {}
        for field, text in constants:
            if field in values:
                raise ValueError(f"{field} stands twice")
            values[field] = _constant(field, text)
        # single values of the metadata come last: they count before whole objects
        pairs = sorted(dict.fromkeys(names), key=lambda pair: pair[1].startswith(PREFIX))
        fixed = sorted(values.items(), key=lambda pair: pair[0].startswith(PREFIX))
        mapping = cls(tuple(pairs), tuple(fixed), zone)
        _check(msgspec.structs.replace(mapping, names=()))
        return mapping

    @property
    def plain(self) -> bool:
        """Whether fields are called as ours are."""
        return not self.names and not self.constants

    def event(self, item: Any) -> Any:
        """A parsed line in our fields. Raises EventError for a time that cannot be read."""
        if not isinstance(item, dict):
            return item
        event = dict(item)
        for theirs, _ in self.names:
            event.pop(theirs, None)
        for theirs, ours in self.names:
            if theirs in item:
                put(event, ours, item[theirs])
        for ours, value in self.constants:
            put(event, ours, value)
        if event.get("timestamp") is not None:
            event["timestamp"] = times.read(event["timestamp"], self.zone)
        return event

    def found(self, item: Any) -> set[str]:
        """Which of the mapped fields a parsed line has."""
        return {theirs for theirs, _ in self.names if isinstance(item, dict) and theirs in item}

    def missing(self, found: Container[str]) -> list[str]:
        """The mapped fields but those found."""
        return [theirs for theirs in dict(self.names) if theirs not in found]


PLAIN = Mapping()


def is_field(name: str) -> bool:
    """Whether an event has such a field: session_id, …, metadata, metadata.KEY."""
    return name in FIELDS or (name.startswith(PREFIX) and name != PREFIX)


def put(event: dict[str, Any], field: str, value: Any) -> None:
    """Give an event a value: null is none, metadata is merged, any other field is replaced."""
    if field.startswith(PREFIX):
        field, value = "metadata", {field.removeprefix(PREFIX): value}
    if field == "metadata":
        value = _merged(event.get("metadata"), value)
    if value is not None:
        event[field] = value


def _merged(first: Any, second: Any) -> Any:
    """Two objects as one, in which the second counts; what is no object stays, to be refused."""
    if first is None or second is None:
        return second if first is None else first
    merged: dict[str, Any] = {}
    for each in (first, second):
        properties = _object(each)
        if properties is None:
            return each
        merged |= properties
    return merged


def _object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, msgspec.Raw):
        try:
            return msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _constant(field: str, text: str) -> Any:
    """A value that is read as a cell of CSV, but parsed. Raises ValueError if it is empty."""
    if not text:
        raise ValueError(f"{field}= has no value")
    value = field_value(field, text)
    return value if isinstance(value, str) else metadata.parse(metadata.encode(value).decode())


def _check(constants: Mapping) -> None:
    """Raises ValueError if no event may have these constants."""
    sample = dict.fromkeys(REQUIRED, "-")
    now = datetime.now(UTC)
    try:
        validate.event(constants.event(sample), Clock(now, 0), sys.maxsize, "", UUID(int=0))
    except EventError as error:
        raise ValueError(f"{error.field}: {error.message}") from error
