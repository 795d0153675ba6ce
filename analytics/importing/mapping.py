"""How the fields of a file become those of an event: `--map`, `--set`, `--tz`."""

from collections.abc import Mapping as Table
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from analytics.importing import times

REQUIRED = ("session_id", "event_type", "event_action")
FIELDS = (*REQUIRED, "user_id", "metadata", "timestamp", "id")
PREFIX = "metadata."


class Mapping(msgspec.Struct, frozen=True):
    """What the operator says about the lines of a file; by default nothing."""

    names: Table[str, str] = {}
    """Their field → ours."""
    constants: Table[str, str] = {}
    """Our field → what it is in every line."""
    zone: ZoneInfo | None = None
    """Of times without an offset."""

    @property
    def plain(self) -> bool:
        """Whether fields are called as ours are."""
        return not self.names and not self.constants

    def event(self, item: Any) -> Any:
        """A parsed line in our fields. Raises EventError for a time without offset or zone."""
        if not isinstance(item, dict):
            return item
        event = {name: value for name, value in item.items() if name not in self.names}
        for theirs, ours in self.names.items():
            if theirs in item:
                _put(event, ours, item[theirs])
        for ours, value in self.constants.items():
            _put(event, ours, value)
        if event.get("timestamp") is not None:
            event["timestamp"] = times.read(event["timestamp"], self.zone)
        return event


def _put(event: dict[str, Any], field: str, value: Any) -> None:
    """Set a field, or one value of the metadata if that is an object."""
    if not field.startswith(PREFIX):
        event[field] = value
        return
    properties = event.get("metadata")
    if properties is None:
        properties = {}
    if isinstance(properties, dict):
        event["metadata"] = {**properties, field.removeprefix(PREFIX): value}


PLAIN = Mapping()


def is_field(name: str) -> bool:
    """Whether an event has such a field: session_id, …, metadata, metadata.KEY."""
    return name in FIELDS or (name.startswith(PREFIX) and name != PREFIX)
