"""What a question is: its address, its parameters, and the function that answers it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec

from analytics.queries.database.snapshot import Snapshot
from analytics.queries.language.query import Query


class Stream(msgspec.Struct, frozen=True):
    """What a question answers that is sent while it is read, as a file, instead of data in an
    envelope.
    """

    media_type: str
    filename: str
    chunks: AsyncIterator[bytes]
    watermark: datetime | None = None


class Question(msgspec.Struct, frozen=True):
    """A question: its path below /api, the struct of its parameters, and how it is answered (by
    `data`, anything msgspec encodes, or a Stream).
    """

    path: str
    query: type[Query]
    answer: Callable[[Any, Snapshot], Awaitable[Any]]
    media_types: tuple[str, ...] = ("application/json",)
    """What the answer may be: of a Stream, all formats that there are."""
    kept: bool = True
    """Whether answers are kept; not those that hold events or people themselves, or speak of this
    very moment.
    """
    streamed: bool = False
    """Whether the answer is a Stream."""
