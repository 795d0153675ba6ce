"""Bounds the text that one statement brings, and one answer shows.

A value of metadata may have up to 256 kB. So a number of groups alone bounds nothing.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, takewhile
from typing import Any

from sqlalchemy import Row, Select, func, select

from analytics.errors import BadRequest
from analytics.queries.language.fields import By
from analytics.queries.language.measures import Statement

MAX_TEXT_BYTES = 16 * 1024 * 1024
"""Of the values of groups, in the rows of one statement or in one answer."""

BYTES = "text_bytes"
"""The last column of rows that are bounded: the bytes of their texts, up to this row."""


def bounded(rows: Select[Any], by: Iterable[By | None], *names: str) -> Statement:
    """The first of some rows, up to the one with which their texts take MAX_TEXT_BYTES.

    `names` are the columns of the texts, `by` says what they hold. Where that cannot be long, it is
    the statement itself. The order stays.
    """
    if not any(map(_may_be_long, by)):
        return rows
    row = rows.subquery("rows")
    first, *others = (func.coalesce(func.octet_length(row.c[name]), 0) for name in names)
    size = sum(others, first)
    up_to = func.sum(size).over(rows=(None, 0))
    sized = select(*row.c, size.label("own_bytes"), up_to.label(BYTES)).subquery("sized")
    columns = [each for each in sized.c if each.name != "own_bytes"]
    return select(*columns).where(sized.c[BYTES] - sized.c.own_bytes < MAX_TEXT_BYTES)


def _may_be_long(by: By | None) -> bool:
    """Whether values may be longer than the columns of events, some 255 characters."""
    if by is None:
        return False
    return not by.parts or any(field.column == "metadata" for field in by.parts)


def is_cut(rows: Sequence[Row[Any]]) -> bool:
    """Whether the texts in these rows take MAX_TEXT_BYTES, so that rows may be missing."""
    if not rows or BYTES not in rows[0]._fields:
        return False
    return bool(max(row[-1] for row in rows) >= MAX_TEXT_BYTES)


def count_fitting(items: Iterable[Iterable[str | None]]) -> int:
    """How many items, each of some texts, there are before these take MAX_TEXT_BYTES."""
    sums = accumulate(map(_size_bytes, items))
    return sum(1 for _ in takewhile(lambda size: size < MAX_TEXT_BYTES, sums))


def check(texts: Iterable[str | None]) -> None:
    """Raise BadRequest if the texts that an answer shows take MAX_TEXT_BYTES.

    Those in rows that are cut do.
    """
    check_bytes(_size_bytes(texts))


def check_bytes(size: int) -> None:
    """Raise BadRequest for texts of MAX_TEXT_BYTES or more."""
    if size >= MAX_TEXT_BYTES:
        raise BadRequest(
            f"by: the values of the groups take more than {MAX_TEXT_BYTES / 2**20:g} MB;"
            " ask for fewer groups (limit), or for a field with shorter values",
            code="too_costly",
            field="by",
        )


def _size_bytes(texts: Iterable[str | None]) -> int:
    return sum(len(text.encode()) for text in texts if text is not None)
