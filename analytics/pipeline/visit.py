"""An event while the steps look at it: its metadata opened one level deep, the values left as they
were sent.
"""

from typing import Any

import msgspec

from analytics.events import Event
from analytics.pipeline.context import MAX_AGENT, Context

MAX_VALUE = 255
"""Characters of what steps put."""

_open = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode


class Visit:
    """What the sender said stays: `put` never replaces. Written back once, and only when something
    changed.
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
        """What the metadata has under a name, decoded; None when it has nothing."""
        raw = self._facts.get(name)
        return None if raw is None else msgspec.json.decode(raw)

    def text(self, name: str) -> str:
        """The same where it is a string, else nothing."""
        raw = self._facts.get(name)
        return (
            msgspec.json.decode(raw, type=str) if raw is not None and bytes(raw)[:1] == b'"' else ""
        )

    def put(self, name: str, value: str | bool | None) -> None:
        """A fact that the sender did not give; none is no fact."""
        if value and name not in self._facts:
            self.replace(
                name, value[:MAX_VALUE].replace("\x00", "") if isinstance(value, str) else value
            )

    def replace(self, name: str, value: Any) -> None:
        self._facts[name] = msgspec.Raw(_encode(value))
        self._changed = True

    def remove(self, name: str) -> None:
        if self._facts.pop(name, None) is not None:
            self._changed = True

    def belongs(self, session: str) -> None:
        """What stands for the session of an event that names neither it nor anybody."""
        self._session = session
        self._changed = True

    @property
    def agent(self) -> str:
        """The visitor's user agent: what the event says, else the request."""
        return self.text("$user_agent")[:MAX_AGENT] or self.context.agent

    @property
    def address(self) -> str:
        """The visitor's address: what the event says, else the request."""
        return self.text("$ip") or self.context.address

    def close(self) -> Event:
        """The event with what the steps put. Its id and its times are never theirs to change."""
        if not self._changed:
            return self.event
        return msgspec.structs.replace(
            self.event, metadata=_encode(self._facts), session_id=self._session
        )
