"""What libraries wrap around their JSON, told apart by its first bytes."""

import base64
from typing import Any
from urllib.parse import quote

import pytest

from analytics.errors import BadRequest, TooLarge
from analytics.protocols import bodies, protocol
from tests.bodies import incoming

VALUE = {"name": "ü?>~", "n": 1}
TEXT = '{"name":"ü?>~","n":1}'.encode()
STANDARD, URL_SAFE = base64.b64encode(TEXT), base64.urlsafe_b64encode(TEXT)


@pytest.mark.parametrize(
    "text", [TEXT, b"\n " + TEXT, STANDARD, URL_SAFE, URL_SAFE.rstrip(b"="), STANDARD + b"\n"]
)
def test_json_is_read_bare_or_in_base64_of_either_alphabet(text: bytes) -> None:
    assert STANDARD != URL_SAFE
    assert bodies.sniffed(text) == VALUE


def test_a_plus_that_a_form_made_a_space_is_still_base64() -> None:
    text = b'{"a":"\xc3\xbe\xc3\xbe>>"}'
    spaced = base64.b64encode(text).replace(b"+", b" ")
    assert b" " in spaced
    assert bodies.unbase64(spaced) == text


@pytest.mark.parametrize("text", [b"a", b"ab!d", b"YWJ=YWJj", "ü".encode()])
def test_what_is_no_base64_is_none(text: bytes) -> None:
    assert bodies.unbase64(text) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"a":\xff}', b"a=b", base64.b64encode(b"no json"), b"[" * 5_000]
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest) as refusal:
        bodies.sniffed(text)
    assert refusal.value.code == "not_json"


def test_bytes_that_are_not_utf_8_and_nuls_are_kept_in_their_strings_to_be_mended() -> None:
    assert bodies.json(b'{"a\xe9":"\x00\\u0000","b":"\xf0\x9f"}') == {
        "a\udce9": "\0\0",
        "b": "\udcf0\udc9f",
    }


def test_json_in_a_string_is_read_whatever_characters_stand_in_it() -> None:
    assert bodies.embedded(' {"a":"\ud83d"}') == {"a": "\ud83d"}
    assert bodies.embedded(STANDARD.decode()) == VALUE
    with pytest.raises(BadRequest):
        bodies.embedded("\ud83d")


def test_a_byte_order_mark_is_no_part_of_the_json() -> None:
    assert bodies.json(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'{"a":1}\n{"a":2}\r\n\n', [{"a": 1}, {"a": 2}]),
        (b'\n[{"a":\n1}]', [{"a": 1}]),
        (b'{"a":1}\n', {"a": 1}),
    ],
)
def test_json_may_stand_one_on_a_line(text: bytes, value: Any) -> None:
    assert bodies.lines(text) == value


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (b"data=x", True),
        (b" api_key=x&data=", True),
        (b"data=", False),
        (TEXT, False),
        (STANDARD, False),
        (b"YQ==", False),
        (b'{"a":"b=c"}', False),
        (b"=x", False),
        (b"", False),
    ],
)
def test_a_form_begins_with_a_word(text: bytes, form: bool) -> None:
    assert bodies.is_form(text) is form


def test_of_a_field_given_twice_the_last_counts_and_bad_utf_8_is_kept_to_be_mended() -> None:
    assert bodies.fields(b"a=1&b=&a=2%20+3&c=%ff") == {"a": "2  3", "b": "", "c": "\udcff"}


def test_the_json_is_in_the_form_else_the_body_else_the_query() -> None:
    query = b"data=" + base64.urlsafe_b64encode(b'{"from":"query"}')
    form = b"data=" + quote('{"from":"form"}').encode()
    assert bodies.data(incoming(form, query=query)) == {"from": "form"}
    assert bodies.data(incoming(b'{"from":"body"}', query=query)) == {"from": "body"}
    assert bodies.data(incoming(b" \n", query=query)) == {"from": "query"}
    with pytest.raises(BadRequest):
        bodies.data(incoming(b""))


def test_a_batch_has_an_event_at_least_and_no_more_than_a_request_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "MAX_REQUEST_EVENTS", 2)
    assert bodies.batch({"a": 1}) == [{"a": 1}]
    assert bodies.batch([1, 2]) == [1, 2]
    with pytest.raises(TooLarge):
        bodies.batch([1, 2, 3])
    with pytest.raises(BadRequest) as refusal:
        bodies.batch([])
    assert refusal.value.code == "empty_batch"


@pytest.mark.parametrize("line", [b"1\n", b"\n", b"\r", b"1\r\n"])
def test_there_are_so_many_lines_and_no_more(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr(protocol, "MAX_VALUES", 10)
    assert bodies.lines(b"1" + line * 5)
    with pytest.raises(TooLarge, match="10 values"):
        bodies.lines(b"1" + line * 11)


def test_all_query_strings_of_a_list_together_have_a_bounded_number_of_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "MAX_VALUES", 10)
    assert bodies.queries(["?a=1&b=2", 5, "c=3&d=4&e"]) == [
        {"a": "1", "b": "2"},
        5,
        {"c": "3", "d": "4", "e": ""},
    ]
    with pytest.raises(TooLarge, match="10 values"):
        bodies.queries(["a=1&b=2", "c=3&d=4", "e=5&f=6"])


@pytest.mark.parametrize("value", [None, [], "x", 1, [{"a": 1}]])
def test_what_is_no_object_is_an_empty_one(value: Any) -> None:
    assert bodies.mapping(value) == {}
    assert bodies.mapping({"a": 1}) == {"a": 1}


def test_a_form_has_so_many_fields_and_no_more() -> None:
    most = b"&".join(b"f%d=1" % number for number in range(bodies.MAX_FIELDS))
    assert len(bodies.fields(most)) == bodies.MAX_FIELDS
    with pytest.raises(TooLarge, match="10000 fields"):
        bodies.fields(most + b"&more=1")
