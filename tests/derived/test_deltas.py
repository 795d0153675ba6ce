"""Deltas: who acted in which hour under which name, and with which values."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from analytics.derived.deltas import (
    MAX_VALUE_CHARACTERS,
    NOT_TEXT,
    UNCOUNTED,
    Delta,
    Dimensions,
    EventGroup,
    ValueIndex,
    build,
    count_cells,
    count_events,
    pack,
    unpack,
)
from analytics.derived.instants import hour_of
from analytics.events import Event

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = hour_of(NOON)
DIMENSIONS = Dimensions(("page", "$os"))


def event(
    metadata: bytes = b"{}", at: datetime = NOON, action: str = "click", project: str = "shop"
) -> Event:
    return Event(project, UUID(int=1), "s", None, "engagement", action, metadata, at, at)


@pytest.mark.parametrize(
    ("metadata", "values"),
    [
        (b"{}", (None, None)),
        (b'{"$os":"x","other":{"page":"y"},"page":"/"}', ("/", "x")),
        (b'{"page":null,"$os":""}', (None, "")),
        (b'{"page":7,"$os":"x"}', (NOT_TEXT, "x")),
        (b'{"page":["/"],"$os":false}', (NOT_TEXT, NOT_TEXT)),
    ],
)
def test_a_value_is_text_or_absent_or_not_counted(
    metadata: bytes, values: tuple[str | bytes | None, ...]
) -> None:
    assert DIMENSIONS.values(metadata) == values


def test_a_value_of_255_characters_has_a_position_and_a_longer_one_has_none() -> None:
    index = ValueIndex()
    longest = "é" * MAX_VALUE_CHARACTERS
    assert index.positions([None, longest, longest + "é", NOT_TEXT, None]) == [
        0,
        1,
        UNCOUNTED,
        UNCOUNTED,
        0,
    ]
    assert index.values_seen == [None, longest]


def test_a_column_of_one_value_is_one_position() -> None:
    index = ValueIndex()
    assert (index.positions(["a", "a"]), index.positions(["b"]), index.positions(["a"])) == (
        0,
        1,
        0,
    )
    assert index.positions([NOT_TEXT, NOT_TEXT]) == UNCOUNTED


def test_events_are_grouped_by_project_hour_and_name_and_come_back_from_bytes() -> None:
    last = NOON + timedelta(hours=1) - timedelta(microseconds=1)
    built = build(
        [
            event(b'{"page":"/"}'),
            event(b'{"page":"/b"}', last),
            event(at=last + timedelta(microseconds=1)),
            event(action="view"),
            event(b'{"page":"/b"}', project="other"),
        ],
        [4, 5, 4, 4, 0],
        DIMENSIONS,
    )
    shop = Delta(
        ["page", "$os"],
        ["/", "/b", None],
        [
            EventGroup(HOUR, "engagement", "click", [4, 5], [[0, 1], 2]),
            EventGroup(HOUR + 1, "engagement", "click", [4], [2, 2]),
            EventGroup(HOUR, "engagement", "view", [4], [2, 2]),
        ],
    )
    other = Delta(
        ["page", "$os"], ["/b", None], [EventGroup(HOUR, "engagement", "click", [0], [0, 1])]
    )
    assert {project: unpack(pack(delta)) for project, delta in built.items()} == {
        "shop": shop,
        "other": other,
    }
    assert (count_events(shop), count_events(other)) == (4, 1)


def test_people_are_found_by_the_value_that_they_had() -> None:
    group = EventGroup(HOUR, "t", "a", [4, 5, 4], [[0, UNCOUNTED, 0], 3])
    assert group.people_of(0) == {0: [4, 4], UNCOUNTED: [5]}
    assert group.people_of(1) == {3: [4, 5, 4]}


def test_cells_are_counted_by_groups_and_by_values_that_differ() -> None:
    delta = Delta(["page", "$os"], [None, "/", "/b"], [])
    delta.groups.append(EventGroup(1, "t", "a", [1, 2, 3, 4], [[0, 1, 2, 1], 0]))
    delta.groups.append(EventGroup(2, "t", "a", [1, 2], [[1, 2], 0]))
    assert count_cells(delta) == (1 + 3 + 1) + (1 + 2 + 1)
