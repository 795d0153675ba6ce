"""Ids for events without one: in order, and never twice."""

from datetime import timedelta

from analytics.protocols.ids import uuid7s
from tests.bodies import GOOD, NOW, decode


def test_new_ids_are_uuid7_in_order() -> None:
    ids = [event.id for event in decode([GOOD] * 1000).events]
    assert ids == sorted(set(ids))
    assert {id.version for id in ids} == {7}
    assert {id.variant for id in ids} == {"specified in RFC 4122"}
    assert ids[0].int >> 80 == int(NOW.timestamp() * 1000)
    assert max(uuid7s(100, NOW)) < min(uuid7s(100, NOW + timedelta(milliseconds=1)))
    assert len({id for _ in range(5_000) for id in uuid7s(1, NOW)}) == 5_000, (
        "more than twelve bits tell collectors of one millisecond apart"
    )
    assert uuid7s(0, NOW) == []
