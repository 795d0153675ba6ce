"""Visitors without cookies: one for a day."""

import re
from uuid import UUID

from analytics import pipeline
from analytics.errors import Unavailable
from analytics.events import NO_ACTOR
from analytics.pipeline import Context
from analytics.pipeline.visitor import visitor
from tests.collecting import GOOD, error_of, running
from tests.visits import ADDRESS, CHROME, IPHONE, browsing, event


def test_a_visitor_without_id_is_one_for_a_day_and_ids_stay() -> None:
    def session(context: Context, given: str = NO_ACTOR) -> str:
        [kept] = pipeline.run([event(session=given)], context).events
        assert kept.id == UUID(int=1)
        return kept.session_id

    today = session(browsing())
    assert today == session(browsing()) == "$" + visitor(b"salt", "default", ADDRESS, CHROME)
    assert re.fullmatch("[$][0-9a-f]{32}", today)
    assert (
        len(
            {
                today,
                session(browsing(salt=b"tomorrow")),
                session(browsing(address="203.0.113.78")),
                session(browsing(user_agent=IPHONE)),
            }
        )
        == 4
    )
    assert session(browsing(address="2001:db8::1")) == session(browsing(address="2001:db8::2"))
    assert session(browsing(), "mine") == "mine"


async def test_without_a_salt_nothing_is_accepted() -> None:
    async with running() as client:
        client.salts.refusal = Unavailable("no salt")
        assert error_of(await client.send_events(GOOD)) == (503, "unavailable")
        assert client.sink.events == []
