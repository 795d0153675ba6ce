"""The fields of an event: how parameters name them, and how SQL reads them."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import unquote

import msgspec
import orjson
from sqlalchemy import ColumnElement, Numeric, Text, case, cast, func, literal, null
from sqlalchemy.dialects.postgresql import JSONB

from analytics.tables import raw_events

COLUMNS = ("event_type", "event_action", "user_id", "session_id")
MAX_KEYS = 32
"""Of a path: metadata may be that deep."""


def decode(text: str) -> str:
    """A name or value, percent-decoded a second time, after it was split off at its separators.

    Raises ValueError for text that PostgreSQL cannot hold.
    """
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise ValueError("its percent-encoded bytes are not UTF-8") from error
    if "\0" in decoded:
        raise ValueError("no event contains a NUL character")
    return decoded


class Field(msgspec.Struct, frozen=True):
    """A column of events, or `metadata.KEY[.KEY…]`."""

    examples: ClassVar = ("event_type", "metadata.plan")

    text: str
    column: str
    keys: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> "Field":
        """`event_type`, `metadata.KEY[.KEY…]`, … Raises ValueError for anything else."""
        return cls.of(text.split("."))

    @classmethod
    def of(cls, words: Sequence[str]) -> "Field":
        """The field whose dot-separated words are these."""
        column, keys = decode(words[0]), tuple(map(decode, words[1:]))
        if column == "metadata" and not keys:
            raise ValueError("metadata needs a key, as in metadata.KEY")
        if "" in keys:
            raise ValueError("a key of metadata is empty; it is metadata.KEY[.KEY…]")
        if len(keys) > MAX_KEYS:
            raise ValueError(f"metadata is at most {MAX_KEYS} keys deep")
        if (column != "metadata" and column not in COLUMNS) or (column in COLUMNS and keys):
            raise ValueError(f"no such field; the fields are {', '.join(COLUMNS)} and metadata.KEY")
        return cls(".".join(words), column, keys)

    @property
    def parts(self) -> "tuple[Field, ...]":
        """What rows are grouped by: this field alone."""
        return (self,)

    @property
    def terms(self) -> int:
        """How many terms it becomes in SQL: one for each key."""
        return max(1, len(self.keys))

    @property
    def value(self) -> ColumnElement[str]:
        """The field's value as text; NULL if absent or JSON null.

        Strings are as they are, numbers and booleans as JSON writes them.
        """
        if not self.keys:
            return raw_events.c[self.column]
        return self._inside(self.keys[:-1]).op("->>", return_type=Text())(
            literal(self.keys[-1], Text)
        )

    @property
    def number(self) -> ColumnElement[Decimal]:
        """The field's JSON number; NULL for anything else, even text that looks like a number."""
        if not self.keys:
            return cast(null(), Numeric)
        return case(
            (func.jsonb_typeof(self._inside(self.keys)) == "number", cast(self.value, Numeric))
        )

    @staticmethod
    def _inside(keys: Sequence[str]) -> ColumnElement[Any]:
        """Key by key: a path (`#>`) or a subscript would also index arrays."""
        inside: ColumnElement[Any] = raw_events.c.metadata
        for key in keys:
            inside = inside.op("->", return_type=JSONB())(literal(key, Text))
        return inside


class Several(msgspec.Struct, frozen=True):
    """Several fields grouped by as one, whose value is the text of a JSON array."""

    parts: tuple[Field, ...]

    @property
    def text(self) -> str:
        return ",".join(field.text for field in self.parts)

    @property
    def value(self) -> ColumnElement[str]:
        return cast(func.jsonb_build_array(*(field.value for field in self.parts)), Text)

    @staticmethod
    def joined(values: Sequence[str | None]) -> str:
        """The text of these values, exactly as PostgreSQL writes it."""
        return json.dumps(values, ensure_ascii=False)

    @staticmethod
    def split(text: str | None) -> list[str | None]:
        """The values of such a text: strings and nulls only, which orjson reads as json does."""
        values: list[str | None] = orjson.loads(text or "[]")
        return values


class MetadataKeys(msgspec.Struct, frozen=True):
    """The top-level keys of metadata; a row counts once for each of its keys."""

    text: str = "keys of metadata"
    parts: tuple[Field, ...] = ()

    @property
    def value(self) -> ColumnElement[str]:
        return func.jsonb_object_keys(raw_events.c.metadata)


By = Field | Several | MetadataKeys
"""What rows may be grouped by."""
