"""A sender may take as much as it leaves free."""

import itertools

import pytest

from analytics.errors import Unavailable
from analytics.roles.collector.room import Room


def filled(room: Room, sender: str) -> int:
    """How much a sender can take, one by one."""
    for taken in itertools.count():
        try:
            room.take(sender, 1)
        except Unavailable:
            return taken
    raise AssertionError


def test_a_sender_alone_has_half_and_each_other_half_of_what_is_left() -> None:
    room = Room(64, "full")
    assert [filled(room, sender) for sender in "abcdef"] == [32, 16, 8, 4, 2, 1]


def test_room_that_is_given_back_is_for_anybody() -> None:
    room = Room(64, "full")
    assert filled(room, "a") == 32
    assert filled(room, "b") == 16
    room.give_back("a", 32)
    assert filled(room, "a") == 24
    for sender, taken in (("a", 24), ("b", 16)):
        room.give_back(sender, taken)
    assert filled(room, "c") == 32


def test_what_does_not_fit_takes_nothing() -> None:
    room = Room(64, "full")
    with pytest.raises(Unavailable, match="full") as refusal:
        room.take("a", 33)
    assert (refusal.value.code, refusal.value.retry_after > 0) == ("busy", True)
    assert filled(room, "a") == 32
