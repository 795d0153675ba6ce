"""Cursors: the place that is written is the place that is read, and nothing else is a place."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.queries.questions.cursors import EventCursor, ExportCursor, PersonCursor
from tests.examples import examples

instants = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis wants it so


@examples(300)
@given(
    at=instants,
    id_=st.uuids(),
    person=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
def test_a_cursor_comes_back_as_it_was_written(at: datetime, id_: UUID, person: str) -> None:
    event, user = EventCursor.after(at, id_), PersonCursor.after(at, person)
    assert EventCursor.read(event.text) == event
    assert PersonCursor.read(user.text) == user
    export = ExportCursor.read(f"{at.isoformat()},{id_}")
    assert (export.timestamp, export.id) == (at, id_)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        b"\0" * 8 + b"\0" * 15,
        b"\0" * 8 + b"\0" * 17,
        b"\x7f" + b"\xff" * 7 + b"\0" * 16,
    ],
    ids=["nothing", "no instant", "a short id", "a long id", "no year"],
)
def test_bytes_that_are_no_instant_and_id_are_no_cursor(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a valid cursor"):
        EventCursor.read(base64.urlsafe_b64encode(data).decode())


@pytest.mark.parametrize("id_", [b"\xff", b"a\0"], ids=["no text", "NUL"])
def test_a_person_that_no_event_can_have_is_no_cursor(id_: bytes) -> None:
    assert PersonCursor.read(base64.urlsafe_b64encode(b"\0" * 8 + b"a").decode()).id == "a"
    with pytest.raises(ValueError, match="not a valid cursor"):
        PersonCursor.read(base64.urlsafe_b64encode(b"\0" * 8 + id_).decode())


@pytest.mark.parametrize(
    "text", ["AAAA=AAA", "AAAAAA/AAAABh", "AAAAAAAAAABh\n", "é", "AAAAAAAAAAA"]
)
def test_what_is_not_written_as_cursors_are_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid cursor"):
        PersonCursor.read(text)
