"""What metadata may hold, by both ways of decoding."""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import BadRequest, TooLarge
from analytics.events import Event
from analytics.protocols import metadata, native
from analytics.protocols.protocol import MAX_VALUES, Decoded, EventError
from tests.examples import examples

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def nested(levels: int, kind: str = "list") -> str:
    """Metadata that nests so many levels deep; the metadata itself is the first."""
    opening, closing = ("[", "]") if kind == "list" else ('{"k":', "}")
    return '{"a":' + opening * (levels - 1) + "1" + closing * (levels - 1) + "}"


def sent(text: str) -> Decoded:
    body = f'{{"session_id":"s","event_type":"t","event_action":"a","metadata":{text}}}'
    return native.decode(body.encode("utf-8", "surrogatepass"), NOW, project="default")


def stored(text: str) -> bytes:
    decoded = sent(text)
    assert not decoded.rejected
    return decoded.events[0].metadata


ACCEPTED = {
    "empty": "{}",
    "null": "null",
    "text": '{"a":"ü😀\\n\\u00e9\\ud83d\\ude00"}',
    "32 levels of lists": nested(32),
    "32 levels of objects": nested(32, "object"),
    "many brackets side by side": json.dumps({"a": [[]] * 500, "b": [{}] * 500}),
    "brackets in strings": json.dumps({"a": '[[["{{{\\' * 100}),
    "an escaped backslash before u0000": r'{"a":"\\u0000"}',
    "the greatest double": '{"a":1.7976931348623157e308}',
    "the least": '{"a":5e-324}',
    "an exponent of zeros": '{"a":1e0000005}',
    "300 digits": '{"a":%s}' % ("9" * 300),
    "an integer beyond 64 bits": '{"a":123456789012345678901234567890}',
    "an exponent in text": '{"a":":1e999","b":"ab12e4567"}',
    "a duplicate key": '{"a":1,"a":2}',
    "an empty key": '{"":1}',
    "space": '\n{ "a" : [ 1 , 2 ] }\t',
}

REFUSED = {
    "NUL": ('{"a":"x\\u0000"}', "bad_character", "metadata.a"),
    "NUL in a key": ('{"a\\u0000":1}', "bad_character", "metadata"),
    "NUL in a key inside": ('{"a":[{"b\\u0000":1}]}', "bad_character", "metadata.a"),
    "a lone high surrogate": ('{"a":"\\ud800"}', "bad_character", "metadata.a"),
    "a lone low surrogate": ('{"a":"x","b":["\\uDC00"]}', "bad_character", "metadata.b"),
    "surrogates the wrong way round": ('{"a":"\\ude00\\ud83d"}', "bad_character", "metadata.a"),
    "a lone surrogate in a key": ('{"\\ud800":1}', "bad_character", "metadata"),
    "33 levels of lists": (nested(33), "too_deep", "metadata.a"),
    "33 levels of objects": (nested(33, "object"), "too_deep", "metadata.a"),
    "600 levels": (nested(600), "too_deep", "metadata.a"),
    "100,000 levels": (nested(100_000), "too_deep", "metadata.a"),
    "100,000 levels of objects": (nested(100_000, "object"), "too_deep", "metadata.a"),
    "deep behind brackets in strings": (
        '{"s":"]]]}","a":' + nested(40) + "}",
        "too_deep",
        "metadata.a",
    ),
    "NaN": ('{"a":NaN}', "wrong_type", "metadata.a"),
    "Infinity": ('{"a":1,"b":{"c":-Infinity}}', "wrong_type", "metadata.b"),
    "1e400": ('{"a":1e400}', "wrong_type", "metadata.a"),
    "-1E+400": ('{"a":[-1E+400]}', "wrong_type", "metadata.a"),
    "1e309": ('{"a":1e309}', "wrong_type", "metadata.a"),
    "1e-99999": ('{"a":1e-99999}', "wrong_type", "metadata.a"),
    "an exponent without measure": ('{"a":1e%s}' % ("9" * 100), "wrong_type", "metadata.a"),
    "310 digits": ('{"a":%s}' % ("9" * 310), "wrong_type", "metadata.a"),
    "200,000 digits": ('{"a":%s}' % ("9" * 200_000), "too_long", "metadata.a"),
    "200,000 decimals": ('{"a":0.%s}' % ("1" * 200_000), "too_long", "metadata.a"),
    "a list": ("[]", "wrong_type", "metadata"),
    "a string": ('"{}"', "wrong_type", "metadata"),
    "a number": ("0", "wrong_type", "metadata"),
    "a long key": ('{"%s":"\\u0000"}' % ("k" * 5000), "bad_character", "metadata." + "k" * 100),
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_harmless_metadata_is_kept_as_it_means(text: str) -> None:
    assert json.loads(stored(text)) == (json.loads(text) or {})


@pytest.mark.parametrize(("text", "code", "field"), REFUSED.values(), ids=REFUSED.keys())
def test_metadata_that_cannot_be_stored_is_refused_by_name(
    text: str, code: str, field: str
) -> None:
    decoded = sent(text)
    assert not decoded.events
    assert [(rejection.code, rejection.field) for rejection in decoded.rejected] == [(code, field)]
    msgspec.json.encode(decoded.rejected)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1',
        '{"a":tru}',
        '{"a":01}',
        '{"a":.5}',
        '{"a":1.}',
        '{"a":+1}',
        "{a:1}",
        '{"a":1,}',
        '{"a":"\x01"}',
        '{"a":"\\q"}',
        '{"a":"\\u00zz"}',
    ],
)
def test_what_is_no_json_is_no_metadata_either(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        metadata.parse(text)
    with pytest.raises(Exception, match="not JSON"):
        sent(text)


def test_numbers_keep_their_digits_on_either_way() -> None:
    sent_as = (
        '{"a":1.10,"b":0.12345678901234567890123456789,"c":-0.0,"d":1e2,"e":18446744073709551617}'
    )
    kept = b'{"a":1.1,"b":0.12345678901234567890123456789,"c":0,"d":100,"e":18446744073709551617}'
    assert stored(sent_as) == kept
    assert metadata.encode(metadata.parse(sent_as)) == kept


def test_a_hidden_nul_does_not_ride_along_under_a_duplicate_key() -> None:
    assert stored('{"a":"\\u0000","a":1}') == b'{"a":1}'


@examples(300)
@given(JSON)
def test_depth_is_what_a_walk_would_find(value: Any) -> None:
    def depth(part: Any) -> int:
        inner = (
            part.values() if isinstance(part, dict) else part if isinstance(part, list) else None
        )
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    for levels in range(28, 34):
        text = json.dumps([value])
        wrapped = "[" * levels + text + "]" * levels
        assert metadata.too_deep(wrapped.encode()) == (
            depth(value) + 1 + levels > metadata.MAX_DEPTH
        )


@examples(300)
@given(
    st.integers(0, 10**30),
    st.text("0123456789", max_size=120),
    st.integers(-420, 420),
    st.sampled_from(["", "-"]),
    st.sampled_from("eE"),
)
def test_no_number_that_the_careful_way_refuses_is_passed_over(
    whole: int, decimals: str, exponent: int, sign: str, letter: str
) -> None:
    for power in (str(exponent), f"{exponent:+d}", f"{exponent:05d}"):
        number = f"{sign}{whole}{'.' + decimals if decimals else ''}{letter}{power}"
        for text in (
            f'{{"a":{number}}}',
            f'{{"a": {number} }}',
            f'{{"a":[1,{number}]}}',
            f'{{"a":[{number}]}}',
            f'{{"a":[\n{number}]}}',
        ):
            try:
                metadata.check(metadata.parse(text))
            except EventError:
                glance = metadata.glance(text.encode())
                assert glance.unfit or glance.uncanonical, text
                if not glance.unfit:
                    with pytest.raises(EventError):
                        metadata.canonical(text.encode())


@examples(300)
@given(JSON)
def test_what_is_stored_equals_what_was_sent(value: Any) -> None:
    text = json.dumps({"a": value})
    decoded = sent(text)
    if any(character in text for character in ("\\u0000", "\\ud8", "\\udc")) or not decoded.events:
        return
    kept, given = (
        json.loads(part, parse_int=Decimal, parse_float=Decimal)
        for part in (decoded.events[0].metadata, text)
    )
    assert kept == given


def test_a_body_with_hashes_and_ids_is_not_suspected() -> None:
    ids = [
        {
            "id": "4bf70ffa9b3b7f190139536c0482a300e52cd44a",
            "uuid": f"0193e000-1e45-7e99-8e12-{n:012d}",
            "n": n,
            "at": "2026-11-23T14:00:00Z",
        }
        for n in range(999)
    ]
    assert metadata.glance(json.dumps(ids).encode()) == (False, False)


def test_events_with_many_brackets_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Event:
        raise AssertionError("the careful way was taken")

    monkeypatch.setattr("analytics.protocols.validate.event", refuse)
    assert sent(json.dumps({"items": [{"sku": "a", "tags": ["x"]}] * 100})).events


@pytest.mark.parametrize("part", ["1,", "{},", '"":1,', "[[],{}],", '",",', "\U0001f600,"])
def test_a_text_of_too_many_values_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def refuse(_: str) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(metadata, "_loads", refuse)
    marks = sum(map(part.count, "[{,:"))
    with pytest.raises(TooLarge, match=f"{MAX_VALUES} values"):
        metadata.parse(f"[{part * (MAX_VALUES // marks)}1]")


def test_a_text_of_as_many_values_as_a_request_may_have_is_decoded() -> None:
    assert len(metadata.parse(f"[{'1,' * (MAX_VALUES - 1)}1]")) == MAX_VALUES
    assert metadata.parse(f'["{"," * (MAX_VALUES - 1)}"]')


@examples(100)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_the_size_of_a_value_is_about_that_of_its_json(value: Any) -> None:
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    assert size / 6 <= metadata.size_of(value) <= 2 * size + 2


def test_a_value_that_cannot_be_stored_has_a_size_too() -> None:
    deep = metadata.parse("[" * 60 + "]" * 60)
    assert metadata.size_of(deep) == 120
    assert metadata.size_of({"\ud800": metadata.parse("NaN")}) > 6
    assert metadata.size_of(metadata.parse("[1" + "0" * 300 + ",0.5]")) > 300


@pytest.mark.parametrize("unit", ['\\"', "\\" * 2, '"', '",', '\\" ['])
def test_what_nests_far_too_deep_is_read_once_however_its_strings_end(unit: str) -> None:
    body = ("[" * 3_000 + '"' + unit * 40_000).encode()
    began = time.process_time()
    with pytest.raises(BadRequest):
        metadata.read(body)
    assert time.process_time() - began < 2.0  # it takes milliseconds
