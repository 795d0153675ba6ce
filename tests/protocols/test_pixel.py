"""The pixel: an event in a query string."""

from datetime import UTC, datetime

import pytest

from analytics.events import event_id
from analytics.protocols import pixel
from analytics.protocols.protocol import Decoded
from tests.bodies import NOW, decoded_of, incoming


def pixels(query: str) -> Decoded:
    return decoded_of(pixel.read(incoming(b"", query=query.encode())))


def test_the_pixel_has_the_same_fields() -> None:
    names = (
        "session_id=s%201&event_type=t&event_action=%C3%A9&user_id=u&id=x&timestamp=1795438800123"
    )
    taken = pixels(
        names + "&metadata=%7B%22a%22%3A1.10%7D&metadata.page=%2Fp&metadata.a.b=c&_=12"
    ).events[0]
    assert (taken.session_id, taken.event_action, taken.user_id, taken.id) == (
        "s 1",
        "é",
        "u",
        event_id("x"),
    )
    assert taken.timestamp == datetime(2026, 11, 23, 13, 0, 0, 123000, tzinfo=UTC)
    assert taken.metadata == b'{"a":1.1,"page":"/p","a.b":"c"}'


def test_a_value_of_metadata_that_reads_as_a_number_is_one() -> None:
    values = {"price": "12.50", "n": "3e1", "zip": "007", "big": "12345678901234567890", "x": "NaN"}
    query = "&".join(f"metadata.{name}={value}" for name, value in values.items())
    [event] = pixels(f"session_id=s&event_type=t&event_action=a&user_id=42.0&{query}").events
    assert event.user_id == "42.0"
    assert event.metadata == (
        b'{"price":12.5,"n":30,"zip":"007","big":12345678901234567890,"x":"NaN"}'
    )


def test_a_pixel_parameter_left_empty_is_absent() -> None:
    taken = pixels(
        "session_id=s&event_type=t&event_action=a&user_id=&timestamp=&metadata=&id="
    ).events[0]
    assert (taken.user_id, taken.timestamp, taken.metadata, taken.named) == (
        None,
        NOW,
        b"{}",
        False,
    )


PIXEL_FAULTS = {
    "a time of too many digits": (
        f"session_id=s&event_type=t&event_action=a&timestamp={'9' * 5_000}",
        "bad_timestamp",
        "timestamp",
    ),
    "nothing": ("", "missing", "session_id"),
    "metadata that is no JSON": (
        "session_id=s&event_type=t&event_action=a&metadata=x",
        "wrong_type",
        "metadata",
    ),
    "metadata that is a list": (
        "session_id=s&event_type=t&event_action=a&metadata=[]&metadata.a=1",
        "wrong_type",
        "metadata",
    ),
    "a NUL": ("session_id=s%00&event_type=t&event_action=a", "bad_character", "session_id"),
    "bad UTF-8": ("session_id=%ff&event_type=t&event_action=a", "bad_character", "session_id"),
    "bad UTF-8 in metadata": (
        "session_id=s&event_type=t&event_action=a&metadata.x=%ff",
        "bad_character",
        "metadata.x",
    ),
    "a NUL in metadata in JSON": (
        "session_id=s&event_type=t&event_action=a&metadata={%22x%22:%22%00%22}",
        "bad_character",
        "metadata.x",
    ),
    "words for a time": (
        "session_id=s&event_type=t&event_action=a&timestamp=now",
        "bad_timestamp",
        "timestamp",
    ),
}


@pytest.mark.parametrize(("query", "code", "field"), PIXEL_FAULTS.values(), ids=PIXEL_FAULTS.keys())
def test_a_pixel_that_is_no_event_is_refused_by_name(query: str, code: str, field: str) -> None:
    decoded = pixels(query)
    assert [(v.code, v.field) for v in decoded.rejected] == [(code, field)]


def test_the_pixel_takes_its_key_from_the_query_or_a_header() -> None:
    assert pixel.read(incoming(b"", query=b"write_key=q", x_write_key="h")).keys == ("q",)
    assert pixel.read(incoming(b"", query=b"", x_write_key="h")).keys == ("h",)
