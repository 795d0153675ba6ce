"""Realtime's messages as they are on the wire, to the byte."""

import msgspec
import pytest
from msgspec import UNSET, Raw

from analytics.errors import BadRequest
from analytics.roles.realtime.messages import (
    CountersMessage,
    EventMessage,
    GapMessage,
    Message,
    SubscribedMessage,
    encode,
    failure,
)
from analytics.roles.realtime.outbox import QueuedMessage
from analytics.roles.realtime.server_sent import frame

EVENT = Raw(b'{"id":1,"metadata":{"name":"\xc3\xbc"}}')
ERROR = BadRequest('where: "x"', code="bad_parameter")

CASES: dict[str, tuple[Message, str]] = {
    "event": (EventMessage("a", EVENT), '"event":{"id":1,"metadata":{"name":"ü"}}'),
    "gap": (GapMessage("a", 7), '"missed":7'),
    "counters": (
        CountersMessage("a", 3, {"page": 2, "other": 1}, None),
        '"events_per_second":3,"by_type":{"page":2,"other":1},"visitors":null',
    ),
    "subscribed": (SubscribedMessage("a"), ""),
    "error": (failure(ERROR, "a"), '"code":"bad_parameter","message":"where: \\"x\\""'),
}


@pytest.mark.parametrize(("message", "fields"), CASES.values(), ids=CASES)
def test_a_message_has_its_type_its_id_and_its_fields_in_order(
    message: Message, fields: str
) -> None:
    rest = f",{fields}" if fields else ""
    assert encode(message).decode() == f'{{"type":"{message.kind}","id":"a"{rest}}}'


@pytest.mark.parametrize(("message", "fields"), CASES.values(), ids=CASES)
def test_an_event_of_the_stream_has_the_same_without_the_id(message: Message, fields: str) -> None:
    rest = f",{fields}" if fields else ""
    data = f'{{"type":"{message.kind}"{rest}}}'
    lines = f"event: {message.kind}\ndata: {data}\n\n"
    assert frame(QueuedMessage(message)) == lines
    assert frame(QueuedMessage(message, 12)) == f"id: 12\n{lines}"


def test_a_heartbeat_is_a_comment_that_may_tell_the_position() -> None:
    assert frame(QueuedMessage(None)) == ":\n\n"
    assert frame(QueuedMessage(None, 12)) == ":\nid: 12\n\n"


def test_an_error_of_the_whole_connection_has_no_id() -> None:
    message = failure(ERROR)
    assert message.id is UNSET
    assert msgspec.json.decode(encode(message)) == {
        "type": "error",
        "code": "bad_parameter",
        "message": 'where: "x"',
    }


def test_a_message_counts_for_as_many_bytes_as_it_is_long() -> None:
    assert EventMessage("a", EVENT).size_bytes == len(bytes(EVENT))
    assert GapMessage("a", 7).size_bytes == len('{"type":"gap","id":"a","missed":7}')


def test_an_error_repeats_little_of_what_a_reader_sent() -> None:
    message = failure(BadRequest("x" * 70_000), "i" * 70_000)
    assert (message.id, message.message) == ("i" * 64, "x" * 500)
