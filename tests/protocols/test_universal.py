"""Replies that every library understands: success is 200, and a header says what was refused."""

import json

import pytest

from analytics.errors import Unavailable
from analytics.protocols import universal
from analytics.protocols.protocol import Decoded, Rejection
from tests.bodies import decode, incoming
from tests.collecting import GOOD

REJECTED = [
    Rejection(1, "bad_character", "metadata.what the client\r\nwrote", "it has a NUL"),
    Rejection(2, "wrong_type", None, "an event must be an object"),
]
NOTE = "2 rejected; the first: bad_character metadata"
ROWS = [
    {"index": 1, "code": "bad_character", "field": REJECTED[0].field, "message": "it has a NUL"},
    {"index": 2, "code": "wrong_type", "field": None, "message": "an event must be an object"},
]
SUCCESS = {"success": True, "status": 1, "code": 200, "error": None}


def test_a_batch_without_faults_is_a_success_and_nothing_more() -> None:
    reply = universal.accept(incoming(b""), decode(GOOD), [])
    assert (reply.status, json.loads(reply.body), reply.note) == (200, SUCCESS, "")


def test_a_batch_with_faults_is_a_success_that_names_them() -> None:
    reply = universal.accept(incoming(b""), Decoded(decode(GOOD).events, REJECTED), [])
    assert (reply.status, reply.note) == (200, NOTE)
    assert json.loads(reply.body) == SUCCESS | {"rejected": ROWS, "rejected_total": 2}


def test_a_batch_of_nothing_but_faults_is_a_mistake_that_is_not_to_be_sent_again() -> None:
    reply = universal.accept(incoming(b""), Decoded([], REJECTED), [])
    message = "no event is valid; the first: it has a NUL"
    assert (reply.status, reply.note) == (400, NOTE)
    assert json.loads(reply.body) == {
        "success": False,
        "status": 0,
        "code": 400,
        "error": message,
        "message": message,
        "rejected": ROWS,
        "rejected_total": 2,
    }


def test_a_refusal_has_the_status_and_the_code_of_its_error() -> None:
    reply = universal.refuse(Unavailable("the queue is full", code="queue_full"), 503)
    assert (reply.status, reply.note) == (503, "queue_full")
    assert json.loads(reply.body) == {
        "success": False,
        "status": 0,
        "code": 503,
        "error": "the queue is full",
        "message": "the queue is full",
    }


@pytest.mark.parametrize(
    ("rejected", "note"), [([], ""), (REJECTED[1:], "1 rejected; the first: wrong_type event")]
)
def test_a_note_holds_nothing_that_a_client_chose(rejected: list[Rejection], note: str) -> None:
    assert universal.note(rejected) == note
