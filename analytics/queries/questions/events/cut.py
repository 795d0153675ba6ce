"""Cuts a list of rows where their metadata would take too many bytes.

Metadata counts as text, as it is sent: what a column takes on disk may be a hundredth of it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Text, cast, func, select

from analytics.queries.language.measures import Statement

Order = Callable[[FromClause], Sequence[ColumnElement[Any]]]
"""The columns by which the rows of a table or subquery are ordered."""


def cut(rows: Select[Any], order: Order, most_bytes: int) -> Statement:
    """The first of some rows: their columns, metadata as text, and its `size` in bytes.

    They end after the row with which `most_bytes` are reached, and one more if there is one. So
    nothing is missing as long as all but the last take less. `rows` has a limit of its own.
    """
    row = rows.subquery("rows")
    texts = select(
        *(cast(each, Text).label(each.name) if each.name == "metadata" else each for each in row.c)
    ).subquery("texts")
    size = func.octet_length(texts.c.metadata)
    # up to the row before the last, so that the row after the end is known to exist
    before = func.sum(size).over(order_by=order(texts), rows=(None, -2))
    sized = select(*texts.c, size.label("size"), func.coalesce(before, 0).label("before"))
    page = sized.subquery("page")
    columns = [each for each in page.c if each.name != "before"]
    return select(*columns).where(page.c.before < most_bytes).order_by(*order(page))
