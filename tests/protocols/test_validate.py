"""`validate.py` is the specification: typed decoding always agrees with it, and neither crashes."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from analytics.errors import AnalyticsError, BadRequest, TooLarge
from analytics.protocols import native, pixel, validate
from tests.bodies import GOOD, UUID_TEXT, decoded_of, incoming
from tests.examples import examples
from tests.protocols.test_clock import BAD_MOMENTS, MOMENTS

TEXT = st.text(max_size=6) | st.sampled_from(
    [
        "",
        "x" * 64,
        "x" * 65,
        "é" * 100,
        "😀" * 255,
        "x" * 256,
        "\x00",
        "\ud800",
        UUID_TEXT,
        "2026-11-23T13:00:00Z",
    ]
)
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([1_795_438_800_123, 1e400, -1e400, 0, 10**400, 1.5, 1e12])
)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXT | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
AUGUST = datetime(2026, 8, 1)  # noqa: DTZ001 - Hypothesis wants bounds without a zone
DECEMBER = datetime(2026, 12, 1)  # noqa: DTZ001
TIMES = (
    st.datetimes(timezones=st.timezones() | st.none()).map(datetime.isoformat)
    | st.datetimes(AUGUST, DECEMBER, timezones=st.just(UTC)).map(datetime.isoformat)
    | st.sampled_from([given for given, _ in [*MOMENTS.values(), *BAD_MOMENTS.values()]])
)
FIELDS = {
    "session_id": TEXT,
    "event_type": TEXT,
    "event_action": TEXT,
    "user_id": TEXT | st.none(),
    "metadata": st.dictionaries(TEXT, VALUES, max_size=3) | st.none(),
    "timestamp": TIMES | NUMBERS | st.none(),
    "id": TEXT | st.none(),
}
MOSTLY_GOOD = st.fixed_dictionaries({}, optional=FIELDS).map(lambda fields: GOOD | fields)
EVENTS = (
    MOSTLY_GOOD
    | st.fixed_dictionaries(
        {}, optional={name: values | VALUES for name, values in FIELDS.items()} | {"zz": VALUES}
    )
    | VALUES
)
BODIES = (
    EVENTS
    | st.lists(EVENTS, max_size=4)
    | st.lists(MOSTLY_GOOD, min_size=1, max_size=4)
    | st.fixed_dictionaries(
        {},
        optional={
            "events": st.lists(EVENTS, max_size=3) | VALUES,
            "sent_at": TIMES | VALUES,
            "write_key": TEXT | VALUES,
            "session_id": TEXT,
        },
    )
)


def outcome(draft: Any) -> Any:
    """The outcome of one way of decoding, comparable: numbers as written, without new ids."""
    try:
        understood = draft()
        decoded = decoded_of(understood)
    except (BadRequest, TooLarge) as error:
        return error.code, error.field
    return (
        understood.keys,
        understood.events,
        [
            (
                e.id if e.named else None,
                e.session_id,
                e.user_id,
                e.event_type,
                e.event_action,
                e.timestamp,
                e.named,
                json.loads(e.metadata, parse_float=str),
            )
            for e in decoded.events
        ],
        list(decoded.rejected),
    )


@examples(400)
@given(BODIES, st.booleans(), st.sampled_from([0, 90, 10**6]), st.sampled_from([2, 20, 10**6]))
@example(GOOD | {"metadata": {"a": 1e22, "b": 1e-7, "c": [30.0, -0.0]}}, False, 90, 10**6)
@example(GOOD | {"metadata": {"a": 1e22, "b": 1e-7}}, False, 90, 21)
def test_the_fast_way_says_what_the_careful_way_says(
    value: Any, ascii_only: bool, days: int, most: int
) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    request = msgspec.structs.replace(incoming(body, days=days), max_event_bytes=most)
    assert outcome(lambda: native.read(request)) == outcome(lambda: validate.draft(request))


@examples(400)
@given(BODIES, st.data())
def test_bodies_with_broken_bytes_are_judged_alike(value: Any, data: st.DataObject) -> None:
    body = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body)))
        body[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from(
                [
                    b"",
                    b"\xff",
                    b"\x00",
                    b'"',
                    b"\\",
                    b"}",
                    b"[",
                    b",",
                    b"e999",
                    b"NaN",
                    b"\\u0000",
                    b"0",
                ]
            )
        )
    request = incoming(bytes(body))
    assert outcome(lambda: native.read(request)) == outcome(lambda: validate.draft(request))


@examples(300)
@given(st.binary(max_size=200))
@example(b"{" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"[" * 100_000 + b"]" * 100_000)
@example(b'["' + b"\\" * 99_999)
@example(b"-")
def test_no_bytes_raise_anything_but_a_refusal(body: bytes) -> None:
    for request in (incoming(body), incoming(b"", query=body)):
        for read in (native.read, pixel.read):
            try:
                decoded = decoded_of(read(request))
            except AnalyticsError as error:
                msgspec.json.encode([error.code, error.message])
            else:
                msgspec.json.encode(decoded)
