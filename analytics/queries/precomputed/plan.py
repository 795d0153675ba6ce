"""Chooses the rows of `rollups` that answer a query, or raw rows counted into the same shape."""

import math
from collections.abc import Callable, Hashable
from functools import cache
from uuid import UUID

import msgspec
from sqlalchemy import Text, and_, false, literal, or_, true

from analytics.derived.cells import ANY
from analytics.derived.instants import EPOCH
from analytics.events import Event
from analytics.queries.language.fields import By, Field, Several
from analytics.queries.language.filters import ANY_EVENT, Condition, EventFilter
from analytics.queries.language.matching import Filter, View
from analytics.queries.language.query import FilteredQuery
from analytics.queries.language.work import Work
from analytics.queries.precomputed.summaries import NumberSpec
from analytics.tables import rollups

OPERATORS = ("eq", "in", "ne", "nin", "contains", "ncontains", "set", "unset")
"""Operators that can be applied to the value of a dimension."""

GroupOfCell = Callable[[str, str, str | None], str | None]
"""The group that a cell belongs to, from its type, its action and its dimension's value."""

_GROUPS: dict[str, GroupOfCell] = {
    "event_action": lambda type_, action, value: action,
    "event_type": lambda type_, action, value: type_,
    "metadata": lambda type_, action, value: value,
}
"""By column of a field to group by. The first column used decides how fine rows must be."""

_NIL = UUID(int=0)


class Plan(msgspec.Struct, frozen=True):
    """Which cells a query needs, and how cells become groups."""

    key: str
    """The key of metadata that cells are read for; ANY for none."""
    name: Hashable
    """The same for all queries that read the same cells, whatever they make of them."""
    condition: Condition
    """On rows of `rollups`."""
    is_event: Callable[[str, str], bool]
    """Whether a type and an action are of the events asked for."""
    passes: Callable[[str | None], bool]
    """Whether a dimension's value passes the filters."""
    group: GroupOfCell
    named: bool = False
    """Whether the cells are of types or actions; a day may have too many of these for rollups."""
    by: By | None = None
    raw: bool = False
    """Whether no row of `rollups` will do: cells are then counted from raw rows, and cached."""
    numbers: NumberSpec | None = None
    """Cells hold a summary of these numbers instead of counts and people. Only with `raw`."""


def rollup_plan(query: FilteredQuery, by: By | None) -> Plan | None:
    """The plan that reads `rollups`; None where only raw rows can answer.

    Rollups can be grouped by type, action and one key of metadata, and filtered by that key and
    by event. Whether the key is a dimension shows only in the data.
    """
    parts = by.parts if by is not None else ()
    fields = (*parts, *(where.field for where in query.where))
    keys = {field.keys for field in fields if field.column == "metadata"}
    columns = {field.column for field in parts}
    if len(keys) > 1 or any(len(path) != 1 for path in keys):
        return None
    if (by is not None and not parts) or not columns <= {*_GROUPS}:
        return None
    if any(where.field.column != "metadata" for where in query.where):
        return None
    if any(where.operator not in OPERATORS for where in query.where):
        return None
    key = next(iter(keys))[0] if keys else ANY
    grain = next((column for column in _GROUPS if column in columns), None)
    return Plan(
        key,
        name=(key, "" if grain == "metadata" else grain or "", frozenset(query.event.pairs)),
        condition=_rows_of(query.event, grain),
        is_event=query.event.match,
        passes=_value_test(query, key) if query.where else lambda value: True,
        group=_group(by),
        named=not _is_overall(query.event, grain),
    )


def raw_plan(query: FilteredQuery, by: By | None, numbers: NumberSpec | None = None) -> Plan | None:
    """The plan that counts raw rows into cells: of the rows that pass, grouped by the field.

    None for user_id and session_id: these have about as many values as there are people.
    """
    if by is not None and any(field.column in ("user_id", "session_id") for field in by.parts):
        return None
    name = (
        "raw",
        by.text if by else None,
        frozenset(query.event.pairs),
        frozenset(where.text for where in query.where),
        numbers and (numbers.field.keys, numbers.needs_all),
    )
    return Plan(
        ANY,
        name,
        condition=false(),
        is_event=ANY_EVENT.match,
        passes=lambda value: True,
        group=lambda type_, action, value: value,
        by=by,
        raw=True,
        numbers=numbers,
    )


def _value_test(query: FilteredQuery, key: str) -> Callable[[str | None], bool]:
    """Whether a value of the key passes the filters; each value is tested once."""
    passes, work = Filter(ANY_EVENT, query.where), Work(math.inf)
    return cache(lambda value: passes(View(_event_with({key: value})), work))


def _event_with(metadata: dict[str, str | None]) -> Event:
    """An event of which only metadata is known."""
    return Event("", _NIL, "", None, "", "", msgspec.json.encode(metadata), EPOCH, EPOCH)


def _group(by: By | None) -> GroupOfCell:
    if isinstance(by, Several):
        parts = [_group(field) for field in by.parts]
        return cache(lambda *cell: Several.joined([part(*cell) for part in parts]))
    return _GROUPS[by.column] if isinstance(by, Field) else lambda type_, action, value: None


def _rows_of(events: EventFilter, grain: str | None) -> Condition:
    """The rows of `rollups` that add up to some events, each event in exactly one of them.

    Each event is in three rows: of its type and action, of its type, and of any event. The
    coarsest that will do is read: any event, then types; types and actions where a type and one
    of its actions are both asked for, because their rows would count an event twice.
    """
    type_, action = rollups.c.event_type, rollups.c.event_action
    if _is_overall(events, grain):
        return and_(type_ == ANY, action == ANY)
    if events.everything and grain == "event_type":
        return and_(type_ != ANY, action == ANY)
    whole_types = {t for t, a in events.pairs if a is None}
    overlap = any(t is None or (a is not None and t in whole_types) for t, a in events.pairs)
    if overlap or grain == "event_action":
        pairs = true() if events.everything else or_(*(_is(*pair) for pair in events.pairs))
        return and_(type_ != ANY, action != ANY, pairs)
    return or_(
        *(
            and_(type_ == literal(t, Text), action == literal(a or ANY, Text))
            for t, a in set(events.pairs)
        )
    )


def _is_overall(events: EventFilter, grain: str | None) -> bool:
    """Whether the rows of any event will do."""
    return events.everything and grain in (None, "metadata")


def _is(type_: str | None, action: str | None) -> Condition:
    """Rows of a type and an action; None stands for any."""
    columns = (rollups.c.event_type, type_), (rollups.c.event_action, action)
    named = (column == literal(name, Text) for column, name in columns if name is not None)
    return and_(true(), *named)
