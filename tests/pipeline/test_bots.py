"""Bots: dropped, marked or kept, as the operator set."""

from typing import Any

import pytest

from analytics import pipeline
from analytics.pipeline import Context, Rules
from tests.collecting import GOOD, running
from tests.pipeline.cases import Cases, assert_puts
from tests.visits import CHROME, GOOGLEBOT, SERVER, browsing, event

CASES: Cases = {
    "a headless browser is no robot": (
        {"$user_agent": CHROME.replace("Chrome", "HeadlessChrome")},
        SERVER,
        {"$browser": "HeadlessChrome"},
    ),
    "a robot that is marked": (
        {},
        browsing(Rules(bots="mark"), user_agent=GOOGLEBOT),
        {"$bot": True},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_puts(name: str) -> None:
    assert_puts(*CASES[name])


@pytest.mark.parametrize(
    ("context", "metadata", "reason"),
    [
        (browsing(user_agent=GOOGLEBOT), {}, "drop_bots"),
        (SERVER, {"$user_agent": GOOGLEBOT}, "drop_bots"),
        (browsing(Rules(bots="keep"), user_agent=GOOGLEBOT), {}, None),
        (SERVER, {}, None),
    ],
)
def test_a_step_drops(context: Context, metadata: dict[str, Any], reason: str | None) -> None:
    passed = pipeline.run([event(metadata)], context)
    assert passed.dropped == ({reason: 1} if reason else {})
    assert len(passed.events) == (0 if reason else 1)


async def test_a_robots_event_is_answered_as_a_success_that_explains_itself() -> None:
    async with running() as client:
        answer = await client.send_events(GOOD, origin="https://shop.example", user_agent=GOOGLEBOT)
        assert (answer.status_code, answer.headers["x-analytics"], client.sink.events) == (
            202,
            "1 dropped: drop_bots",
            [],
        )
        body = {"n": "pageview", "u": "https://shop.example/", "d": "shop.example"}
        answer = await client.send_events(
            body, "/api/event", origin="https://shop.example", user_agent=GOOGLEBOT
        )
        assert (answer.status_code, answer.text, answer.headers["x-plausible-dropped"]) == (
            202,
            "ok",
            "1",
        )
