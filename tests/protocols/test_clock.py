"""When an event happened: times are read, corrected and checked for bounds."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.protocols import native
from analytics.protocols.protocol import Decoded
from tests.bodies import GOOD, NOW, decode, decoded_of, event, fault_of, incoming

MOMENTS: dict[str, tuple[Any, datetime]] = {
    "UTC": ("2026-11-23T13:00:00Z", datetime(2026, 11, 23, 13, tzinfo=UTC)),
    "lower case": ("2026-11-23t13:00:00z", datetime(2026, 11, 23, 13, tzinfo=UTC)),
    "an offset": (
        "2026-11-23T13:00:00.5+05:30",
        datetime(2026, 11, 23, 7, 30, 0, 500000, tzinfo=UTC),
    ),
    "a negative offset": ("2026-11-22T23:30:00-08:00", datetime(2026, 11, 23, 7, 30, tzinfo=UTC)),
    "milliseconds": (1_795_438_800_123, datetime(2026, 11, 23, 13, 0, 0, 123000, tzinfo=UTC)),
    "milliseconds as a float": (
        1_795_438_800_123.0,
        datetime(2026, 11, 23, 13, 0, 0, 123000, tzinfo=UTC),
    ),
    "the end of tomorrow": (
        "2026-11-24T14:00:00.123456Z",
        datetime(2026, 11, 24, 14, 0, 0, 123456, tzinfo=UTC),
    ),
    "the horizon": (
        "2026-08-25T14:00:00.123456Z",
        datetime(2026, 8, 25, 14, 0, 0, 123456, tzinfo=UTC),
    ),
}


@pytest.mark.parametrize(("given", "moment"), MOMENTS.values(), ids=MOMENTS.keys())
def test_a_timestamp_is_a_moment_in_utc(given: Any, moment: datetime) -> None:
    stored = event(timestamp=given).timestamp
    assert stored == moment
    assert stored.tzinfo is UTC


BAD_MOMENTS: dict[str, tuple[Any, str]] = {
    "no offset": ("2026-11-23T13:00:00", "bad_timestamp"),
    "a date": ("2026-11-23", "bad_timestamp"),
    "words": ("yesterday", "bad_timestamp"),
    "nothing": ("", "bad_timestamp"),
    "a lone surrogate": ("\ud800", "bad_timestamp"),
    "digits in a string": ("1795438800123", "bad_timestamp"),
    "no such day": ("2026-02-30T00:00:00Z", "bad_timestamp"),
    "year 0": ("0000-01-01T00:00:00Z", "bad_timestamp"),
    "year 10000": ("10000-01-01T00:00:00Z", "bad_timestamp"),
    "no such offset": ("2026-11-23T13:00:00+24:00", "bad_timestamp"),
    "half a millisecond": (1_795_438_800_123.5, "bad_timestamp"),
    "true": (True, "bad_timestamp"),
    "an object": ({}, "bad_timestamp"),
    "a list": ([], "bad_timestamp"),
    "NaN": (float("nan"), "bad_timestamp"),
    "Infinity": (float("inf"), "bad_timestamp"),
    "year 1": ("0001-01-01T00:00:00Z", "too_old"),
    "before year 1": ("0001-01-01T00:00:00+23:59", "too_old"),
    "1970": ("1970-01-01T00:00:00Z", "too_old"),
    "zero": (0, "too_old"),
    "long before": (-(10**15), "too_old"),
    "before all calendars": (-(10**30), "too_old"),
    "seconds taken for milliseconds": (1_795_438_800, "too_old"),
    "a moment before the horizon": ("2026-08-25T14:00:00.123455Z", "too_old"),
    "a moment too far ahead": ("2026-11-24T14:00:00.123457Z", "in_the_future"),
    "year 9999": ("9999-12-31T23:59:59Z", "in_the_future"),
    "after year 9999": ("9999-12-31T23:59:59-23:59", "in_the_future"),
    "after all calendars": (10**30, "in_the_future"),
    "1e300": (1e300, "in_the_future"),
    "rounded up beyond year 9999": ("9999-12-31T23:59:59.9999999Z", "bad_timestamp"),
}


@pytest.mark.parametrize(("given", "code"), BAD_MOMENTS.values(), ids=BAD_MOMENTS.keys())
def test_a_timestamp_that_cannot_be_kept_is_refused_never_clamped(given: Any, code: str) -> None:
    assert fault_of(timestamp=given) == (code, "timestamp")


def test_retention_off_still_begins_in_2000() -> None:
    assert event(days=0, timestamp="2000-01-01T00:00:00Z").timestamp.year == 2000
    assert fault_of(days=0, timestamp="1999-12-31T23:59:59.999Z") == ("too_old", "timestamp")
    assert event(days=20_000, timestamp="1980-01-01T00:00:00Z").timestamp.year == 1980
    assert event(days=10**9, timestamp="1000-01-01T00:00:00Z").timestamp.year == 1000


def at(sent_at: Any, timestamp: Any) -> Decoded:
    return decode({"sent_at": sent_at, "events": [GOOD | {"timestamp": timestamp}]})


def test_a_skewed_clock_is_corrected_by_sent_at() -> None:
    late = NOW - timedelta(hours=3)
    assert at(late.isoformat(), (late - timedelta(seconds=5)).isoformat()).events[
        0
    ].timestamp == NOW - timedelta(seconds=5)
    ahead = NOW + timedelta(days=400)
    assert at(ahead.isoformat(), (ahead - timedelta(seconds=5)).isoformat()).events[
        0
    ].timestamp == NOW - timedelta(seconds=5)
    milliseconds = int(late.timestamp() * 1000)
    assert abs(at(milliseconds, milliseconds).events[0].timestamp - NOW) < timedelta(milliseconds=1)


def test_a_minute_is_no_skew() -> None:
    near = NOW - timedelta(minutes=1)
    assert at(near.isoformat(), near.isoformat()).events[0].timestamp == near
    beyond = near - timedelta(microseconds=1)
    assert at(beyond.isoformat(), beyond.isoformat()).events[0].timestamp == NOW


def test_bounds_hold_after_the_correction() -> None:
    assert at("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z").events[0].timestamp == NOW
    assert at("9999-12-31T23:00:00Z", "9999-12-31T23:00:00Z").events[0].timestamp == NOW
    assert (
        at((NOW - timedelta(days=200)).isoformat(), NOW.isoformat()).rejected[0].code
        == "in_the_future"
    )
    assert (
        at((NOW + timedelta(days=200)).isoformat(), NOW.isoformat()).rejected[0].code == "too_old"
    )
    assert at("0001-01-02T00:00:00Z", "9999-12-31T00:00:00Z").rejected[0].code == "in_the_future"


def test_an_event_without_timestamp_needs_no_correction() -> None:
    assert at("1970-01-01T00:00:00Z", None).events[0].timestamp == NOW


def test_a_single_event_may_carry_its_envelope() -> None:
    late = (NOW - timedelta(hours=3)).isoformat()
    understood = native.read(
        incoming(json.dumps(GOOD | {"timestamp": late, "sent_at": late, "write_key": "k"}).encode())
    )
    assert understood.keys == ("k",)
    assert decoded_of(understood).events[0].timestamp == NOW
