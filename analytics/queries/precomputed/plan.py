"""Plan: which rows of rollups answer a question, and which questions none of them do."""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

import msgspec
from sqlalchemy import Text, and_, false, literal, or_, true

from analytics.derived.cells import ANY
from analytics.events import Event
from analytics.queries.language.fields import By, Field, Several
from analytics.queries.language.filters import ANY_EVENT, Condition, Events
from analytics.queries.language.matching import View, matcher
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed.figures import Of
from analytics.tables import rollups

TESTS = ("eq", "in", "ne", "nin", "contains", "ncontains", "set", "unset")
"""Operators on a dimension's values."""

_GRAINS: dict[str, Callable[[str, str, str | None], str | None]] = {
    "event_action": lambda type_, action, value: action,
    "event_type": lambda type_, action, value: type_,
    "metadata": lambda type_, action, value: value,
}
"""What a field to group by is in a cell. The first of them that is asked for says how fine the rows
of `rollups` must be.
"""

_NIL = UUID(int=0)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Plan(msgspec.Struct, frozen=True):
    """Which rows of `rollups` a question is about: those of one key, and how their values become
    groups.
    """

    key: str
    name: Hashable
    """The same for all questions that are about the same rows, whatever they make of them."""
    condition: Condition
    is_event: Callable[[str, str], bool]
    passes: Callable[[str | None], bool]
    group: Callable[[str, str, str | None], str | None]
    by: By | None = None
    raw: bool = False
    """Whether no rows of `rollups` will do: then cells are counted from raw rows, and only
    remembered like the others.
    """
    of: Of | None = None
    """What cells hold instead of counts and people, which no rows of `rollups` have."""


def covers(query: FilteredQuery, by: By | None = None) -> bool:
    """Whether rollups may answer: grouped by type, action and one key of metadata, and filtered by
    no more than that key and the event.
    """
    return plan(query, by) is not None


def plan(query: FilteredQuery, by: By | None) -> Plan | None:
    """None for a question that only raw rows can answer; whether a key is a dimension is only seen
    in the data.
    """
    parts = by.parts if by is not None else ()
    keys = {
        field.keys
        for field in (*parts, *(where.field for where in query.where))
        if field.column == "metadata"
    }
    columns = {field.column for field in parts}
    if (
        len(keys) > 1
        or any(len(path) != 1 for path in keys)
        or (by is not None and not parts)
        or not columns <= {*_GRAINS}
    ):
        return None
    if any(
        where.field.column != "metadata" or where.operator not in TESTS for where in query.where
    ):
        return None
    key = next(iter(keys))[0] if keys else ANY
    passed: dict[str | None, bool] = {}
    test = matcher(ANY_EVENT, query.where)

    def passes(value: str | None) -> bool:
        if value not in passed:
            passed[value] = test(View(_only({key: value})))
        return passed[value]

    grain = next((column for column in _GRAINS if column in columns), None)
    name = (key, "" if grain == "metadata" else grain or "", frozenset(query.event.pairs))
    return Plan(
        key,
        name,
        _rows_of(query.event, grain),
        query.event.match,
        passes if query.where else lambda value: True,
        _group(by),
    )


def _group(by: By | None) -> Callable[[str, str, str | None], str | None]:
    """The group of a cell of a type, an action and a value of the one key."""
    if isinstance(by, Several):
        parts = [_group(field) for field in by.parts]
        return cache(lambda *cell: Several.joined([part(*cell) for part in parts]))
    return _GRAINS[by.column] if isinstance(by, Field) else lambda type_, action, value: None


def plan_of_raw_rows(query: FilteredQuery, by: By | None, of: Of | None = None) -> Plan | None:
    """For what `plan` has none: cells of just the rows that pass, grouped by just this field. None
    for a field that is another for everybody.
    """
    if by is not None and any(field.column in ("user_id", "session_id") for field in by.parts):
        return None
    name = (
        "raw",
        by.text if by else None,
        frozenset(query.event.pairs),
        frozenset(where.text for where in query.where),
        of and (of.field.keys, of.each),
    )
    return Plan(
        ANY,
        name,
        false(),
        ANY_EVENT.match,
        lambda value: True,
        lambda type_, action, value: value,
        by,
        raw=True,
        of=of,
    )


def _only(metadata: dict[str, str | None]) -> Event:
    """An event of which no more is known."""
    return Event("", _NIL, "", None, "", "", msgspec.json.encode(metadata), _LONG_AGO, _LONG_AGO)


def _rows_of(events: Events, by: str | None) -> Condition:
    """The rows that add up to these events, none of them twice: of any event, of types and of
    actions if they do not overlap.
    """
    type_, action = rollups.c.event_type, rollups.c.event_action
    if events.everything and by != "event_action":
        return and_(type_ == ANY if by is None or by == "metadata" else type_ != ANY, action == ANY)
    types = {t for t, a in events.pairs if a is None}
    overlap = any(t is None for t, _ in events.pairs) or any(
        a is not None and t in types for t, a in events.pairs
    )
    if overlap or by == "event_action":
        return and_(
            type_ != ANY,
            action != ANY,
            true() if events.everything else or_(*(_is(*pair) for pair in events.pairs)),
        )
    return or_(
        *(
            and_(type_ == literal(t, Text), action == literal(a or ANY, Text))
            for t, a in set(events.pairs)
        )
    )


def _is(type_: str | None, action: str | None) -> Condition:
    return and_(
        true(),
        *(
            column == literal(name, Text)
            for column, name in zip(
                (rollups.c.event_type, rollups.c.event_action), (type_, action), strict=True
            )
            if name is not None
        ),
    )
