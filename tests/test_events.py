"""Events: their ids, their actors, and their bytes from one release to the next."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from analytics.events import Books, Event, event_id, is_uuid, name_of, pack, public, unpack

NOW = datetime(2026, 11, 23, 14, 0, 0, 123456, tzinfo=UTC)
ID = UUID("0193f0aa-6ad7-5f5c-9c0e-5d7a4c1b2e90")


def event(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "project": "shop",
        "id": ID,
        "session_id": "s",
        "user_id": None,
        "event_type": "t",
        "event_action": "a",
        "metadata": b'{"price": 1.50}',
        "timestamp": NOW,
        "created_at": NOW + timedelta(microseconds=1),
    }
    return Event(**fields | changes)


@pytest.mark.parametrize("text", [str(ID), str(ID).upper()])
def test_a_hyphenated_uuid_is_stored_as_it_is(text: str) -> None:
    assert is_uuid(text)
    assert event_id(text) == ID


@pytest.mark.parametrize(
    "text", [ID.hex, f"{{{ID}}}", f"urn:uuid:{ID}", f"{ID}\n", f" {ID}", str(ID)[:-1], "", "٣" * 36]
)
def test_other_text_becomes_an_id_of_its_own(text: str) -> None:
    """Even where Python's UUID would read it: two ids that a client tells apart stay two."""
    assert not is_uuid(text)
    assert event_id(text) == event_id(text) != ID
    assert event_id(text).version == 5


def test_the_actor_is_the_user_else_the_session() -> None:
    assert (event().actor, event(user_id="u").actor, event(user_id="").actor) == ("s", "u", "")


def test_events_come_back_from_bytes_to_the_microsecond() -> None:
    sent = [event(former=ID), event(user_id="ü😀", named=True, metadata=b"\x00\xff")]
    assert unpack(pack(sent)) == sent
    assert unpack(pack([])) == []


def test_an_event_of_an_older_release_was_not_named_by_its_client() -> None:
    older = msgspec.msgpack.decode(pack([event(named=True)]))
    del older[0][-2:]
    assert unpack(msgspec.msgpack.encode(older)) == [event(named=False)]


def test_what_a_newer_release_appends_is_passed_over() -> None:
    newer = msgspec.msgpack.decode(pack([event()]))
    newer[0].append({"what": "is this"})
    assert unpack(msgspec.msgpack.encode(newer)) == [event()]


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", pack([event()])[:-1], msgspec.msgpack.encode([[1]])]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        unpack(data)


def test_metadata_is_shown_to_the_digit() -> None:
    shown = msgspec.json.encode(public(event(named=True)))
    assert b'"metadata":{"price": 1.50}' in shown
    assert list(msgspec.json.decode(shown)) == [
        "id",
        "project",
        "session_id",
        "user_id",
        "event_type",
        "event_action",
        "metadata",
        "timestamp",
        "created_at",
    ]


def test_books_balance_when_every_accepted_event_is_somewhere() -> None:
    assert Books(10, stored=1, duplicate=2, dead_lettered=3, queued=4).balanced
    assert not Books(11, stored=1, duplicate=2, dead_lettered=3, queued=4).balanced
    assert Books().balanced


def test_no_ids_have_equal_hashes_as_members_of_sets() -> None:
    """As UUIDs and as numbers all of these have the hash 0, and a sender can choose them."""
    ids = [UUID(int=factor * (2**61 - 1)) for factor in range(1, 1_001)]
    assert {hash(id_) for id_ in ids} == {0}
    assert len({hash(name_of("shop", id_)) for id_ in ids}) == 1_000
