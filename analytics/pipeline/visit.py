"""An event in the pipeline: its metadata is decoded one level deep, its values are not."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from analytics import ip
from analytics.events import Event
from analytics.pipeline.context import MAX_AGENT, Context

MAX_VALUE = 2_000
"""Characters of a value that steps put: as long as addresses are, since half a click id is none."""

_open = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Visit:
    """An event, its request, and its metadata.

    `put` never replaces what the sender said. Metadata is encoded once, and only if it changed.
    """

    __slots__ = ("_changed", "_facts", "_session", "context", "event")

    def __init__(self, event: Event, context: Context) -> None:
        self.event = event
        self.context = context
        self._facts = _open(event.metadata)
        self._session = event.session_id
        self._changed = False

    def __contains__(self, name: str) -> bool:
        return name in self._facts

    def value(self, name: str) -> Any:
        """A value of the metadata, decoded with every digit; None if there is none."""
        raw = self._facts.get(name)
        return None if raw is None else _decode(raw)

    def text(self, name: str) -> str:
        """The same if it is a string, else ""."""
        raw = self._facts.get(name)
        is_text = raw is not None and bytes(raw)[:1] == b'"'
        return msgspec.json.decode(raw, type=str) if raw is not None and is_text else ""

    def where(self, holds: Callable[[bytes], bool]) -> list[str]:
        """The names of the facts whose JSON is such; none if the whole of the sender's is not."""
        if not holds(self.event.metadata):
            return []
        return [name for name, raw in self._facts.items() if holds(bytes(raw))]

    def put(self, name: str, value: str | bool | None) -> None:
        """Add a fact, unless it is empty or the sender has one of this name."""
        if value and name not in self._facts:
            text = value[:MAX_VALUE].replace("\x00", "") if isinstance(value, str) else value
            self.replace(name, text)

    def replace(self, name: str, value: Any) -> None:
        """Set a value, whatever the sender said."""
        self._facts[name] = msgspec.Raw(_encode(value))
        self._changed = True

    def remove(self, name: str) -> None:
        """Remove a value, if there is one."""
        if self._facts.pop(name, None) is not None:
            self._changed = True

    def set_session(self, session: str) -> None:
        """Set the session of an event that names neither a session nor a user."""
        self._session = session
        self._changed = True

    @property
    def agent(self) -> str:
        """The visitor's user agent: the event's, else the request's."""
        return self.text("$user_agent")[:MAX_AGENT] or self.context.agent

    @property
    def address(self) -> str:
        """The visitor's IP address, in its usual notation: the event's, else the request's."""
        return ip.first(self.text("$ip")) or self.context.address

    def close(self) -> Event:
        """The event with its changes. No step can change its id or its times."""
        if not self._changed:
            return self.event
        return msgspec.structs.replace(
            self.event, metadata=_encode(self._facts), session_id=self._session
        )
