"""Cursors: the place in a list after which the next page continues.

A list is ordered by timestamp, then by id. A cursor is the timestamp and the id of the last row
that was shown, so a page costs the same however far back it is, and new rows do not shift pages.
"""

import base64
import struct
from abc import abstractmethod
from datetime import datetime
from typing import ClassVar, Generic, Self, TypeVar
from uuid import UUID

import msgspec

from analytics.derived.instants import EPOCH, MICROSECOND

_INSTANT = struct.Struct(">q")

Id = TypeVar("Id")


class Cursor(msgspec.Struct, Generic[Id], frozen=True):
    """The place after a row. Its text is opaque to clients: base64 of the timestamp and the id."""

    text: str
    timestamp: datetime
    id: Id

    @staticmethod
    @abstractmethod
    def id_of(data: bytes) -> Id:
        """An id from its bytes. Raises ValueError for bytes that are no id."""

    @staticmethod
    @abstractmethod
    def bytes_of(id_: Id) -> bytes:
        """The inverse of `id_of`."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError for a text that `after` did not make."""
        try:
            data = base64.b64decode(text, altchars=b"-_", validate=True)
            timestamp = EPOCH + _INSTANT.unpack_from(data)[0] * MICROSECOND
            return cls(text, timestamp, cls.id_of(data[_INSTANT.size :]))
        except (ValueError, OverflowError, struct.error) as error:
            raise ValueError(
                "it is not a valid cursor; take it from `next` of the page before"
            ) from error

    @classmethod
    def after(cls, timestamp: datetime, id_: Id) -> Self:
        """The place after a row."""
        data = _INSTANT.pack((timestamp - EPOCH) // MICROSECOND) + cls.bytes_of(id_)
        return cls(base64.urlsafe_b64encode(data).decode(), timestamp, id_)


class EventCursor(Cursor[UUID], frozen=True):
    """The `next` of the page before.

    The timestamp and the id of the oldest event shown.
    """

    @staticmethod
    def id_of(data: bytes) -> UUID:
        return UUID(bytes=data)

    @staticmethod
    def bytes_of(id_: UUID) -> bytes:
        return id_.bytes


class PersonCursor(Cursor[str], frozen=True):
    """The `next` of the page before.

    When the last person shown was last seen, and their id.
    """

    @staticmethod
    def id_of(data: bytes) -> str:
        if b"\0" in data:
            raise ValueError("no event contains a NUL character")
        return data.decode()

    @staticmethod
    def bytes_of(id_: str) -> bytes:
        return id_.encode()


class ExportCursor(EventCursor, frozen=True):
    """`TIMESTAMP,ID` of the last event received: the export continues after it.

    Clients write it themselves, from the last complete row of a file that broke off.
    """

    examples: ClassVar = ("2026-11-03T10:20:00Z,00000000-0000-4000-8000-000000000009",)

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError for anything else."""
        written, _, id_ = text.partition(",")
        try:
            timestamp = datetime.fromisoformat(written)
            if timestamp.tzinfo is None:
                raise ValueError("a timestamp has an offset, or Z")
            return cls(text, timestamp, UUID(id_))
        except ValueError as error:
            raise ValueError(
                "it is TIMESTAMP,ID, as in the last event received; the timestamp needs an "
                "offset or Z"
            ) from error
