"""What a question is: its path, its parameters, and the function that answers it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.query import Query


class StreamedFile(msgspec.Struct, frozen=True):
    """A file that is sent while it is read, in place of an envelope with data."""

    media_type: str
    filename: str
    chunks: AsyncGenerator[bytes, None]
    watermark: datetime | None = None
    """Every event acknowledged before it is in the file; None: unknown."""
    unsure_since: datetime | None = None
    """Events of the file that were acknowledged after this may be lost; None: none may."""
    hint: str | None = None
    """Where the events are, if the default range has none."""


class Question(msgspec.Struct, frozen=True):
    """An endpoint of the api: its path below /api, its parameters, and how it is answered."""

    path: str
    query: type[Query]
    """The struct of its parameters."""
    answer: Callable[[Any, Snapshot], Awaitable[Any]]
    """From a query and a snapshot to data for msgspec; to a `StreamedFile` if `streamed`."""
    media_types: tuple[str, ...] = ("application/json",)
    """Of the answer; of a `StreamedFile`, all formats there are."""
    cacheable: bool = True
    """False for answers with events or people themselves, or about this very moment."""
    streamed: bool = False
    """Whether the answer is a `StreamedFile`."""
