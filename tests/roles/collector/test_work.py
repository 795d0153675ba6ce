"""The work on a request: what it holds ends with it."""

from starlette.types import Message

from analytics.roles.collector.room import Room
from analytics.roles.collector.work import Workplace


async def test_the_room_of_a_body_in_several_parts_is_free_again_after_its_answer() -> None:
    at = Workplace()
    at.room = Room(12, "full")
    for _ in range(10):
        sent = [b"123"] * 2

        async def receive(sent: list[bytes] = sent) -> Message:
            return {"type": "http.request", "body": sent.pop(), "more_body": bool(sent)}

        async with at.work("a") as work:
            assert await work.read(receive) == b"123123"
