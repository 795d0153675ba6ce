"""Random rows of a few people and sessions, close together.

Many are at the same instant, or exactly on the ends of windows and ranges.
"""

import operator
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.queries.oracle import SILENCE, Condition, Pair, Row
from tests.queries.streams import paths, texts

TICK = timedelta(microseconds=1)

Pairs = tuple[Pair, ...]

names = st.sampled_from(["a", "b", "c", "é", "*"])
actions = st.sampled_from(["x", "y", "😀"])
values = st.sampled_from(["", "v", "é", "\uffff", "😀", None, 1, True])
pairs = st.lists(st.tuples(st.none() | names, st.none() | actions), min_size=1, max_size=2).map(
    tuple
)
wheres: st.SearchStrategy[tuple[Condition, ...]] = st.just(()) | st.tuples(
    st.builds(
        Condition,
        st.just(("metadata", "k")) | paths,
        st.sampled_from(["eq", "ne", "contains", "ncontains"]),
        st.tuples(texts),
    )
    | st.builds(Condition, st.just(("metadata", "k")) | paths, st.sampled_from(["set", "unset"]))
)
fields = st.sampled_from(
    [
        ("event_type",),
        ("event_action",),
        ("user_id",),
        ("session_id",),
        ("metadata", "k"),
        ("metadata", "o", "k"),
    ]
)


def rows(instants: Sequence[datetime], most: int, least: int = 0) -> st.SearchStrategy[list[Row]]:
    """Rows at these instants and right before and after them."""
    at = st.sampled_from(instants)
    row = st.builds(
        Row,
        id=st.integers(0, 15).map(lambda number: UUID(int=number << 124 | number))
        | st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number)),
        timestamp=st.builds(
            operator.add, at, st.sampled_from([timedelta(0), -TICK, TICK, SILENCE, SILENCE + TICK])
        ),
        session_id=st.sampled_from(["s", "t", "é", "$none", "$s"]),
        user_id=st.sampled_from([None, "s", "u"]),
        event_type=names,
        event_action=actions,
        metadata=st.fixed_dictionaries(
            {}, optional={"k": values, "o": st.fixed_dictionaries({}, optional={"k": values})}
        ),
    )
    return st.lists(row, min_size=least, max_size=most, unique_by=lambda row: row.id)


def written_range(
    start: datetime, end: datetime, zone: ZoneInfo | None = None
) -> list[tuple[str, str]]:
    return [
        ("from", start.isoformat()),
        ("to", end.isoformat()),
        *([("tz", zone.key)] if zone else []),
    ]
