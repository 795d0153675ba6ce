"""The pipeline as a whole: which events it opens, the order of its steps, and drops."""

import json
import re

import pytest

from analytics import events, metrics, pipeline
from analytics.errors import TooLarge
from analytics.events import NO_ACTOR
from analytics.pipeline import DROP, Drop, Visit
from tests.collecting import GOOD, running
from tests.pipeline.cases import facts
from tests.visits import CHROME, GOOGLEBOT, SERVER, browsing, event


def test_a_servers_own_agent_and_address_are_nobodys() -> None:
    events = [event({"plan": "pro"}), event()]
    assert pipeline.run(events, SERVER).events is events
    [passed] = pipeline.run([event({"$url": "https://a.example/"}, NO_ACTOR)], SERVER).events
    assert passed.session_id == NO_ACTOR
    assert set(json.loads(passed.metadata)) == {"$url", "$host", "$path"}


def test_a_key_in_escapes_is_seen_all_the_same() -> None:
    assert facts(b'{"\\u0024ip":"203.0.113.77"}', SERVER) == {}


def put_mark(visit: Visit) -> None:
    visit.replace("m", f"{visit.text('m')}!")


def put_dot(visit: Visit) -> None:
    visit.replace("m", f"{visit.text('m')}.")


def drop_b(visit: Visit) -> Drop | None:
    return DROP if visit.event.event_action == "b" else None


def test_without_steps_the_very_list_goes_on() -> None:
    events = [event(), event()]
    assert pipeline.run(events, browsing(), ()).events is events


def test_steps_run_top_to_bottom_and_drops_are_counted_by_their_step() -> None:
    metrics.events_dropped.set({"reason": "drop_b"}, 0)
    result = pipeline.run(
        [event(action=action) for action in "abcb"], browsing(), (put_mark, drop_b, put_dot)
    )
    assert [(passed.event_action, json.loads(passed.metadata)) for passed in result.events] == [
        ("a", {"m": "!."}),
        ("c", {"m": "!."}),
    ]
    assert (result.dropped, result.note) == ({"drop_b": 2}, "2 dropped: drop_b")
    assert metrics.events_dropped.get({"reason": "drop_b"}) == 2


def test_a_steps_name_says_what_it_does() -> None:
    for step in pipeline.STEPS:
        assert re.fullmatch(r"(drop|put)_[a-z_]+", step.__name__)
        assert step.__doc__


async def test_what_is_dropped_is_told_by_its_reason_in_the_answer_and_the_metrics() -> None:
    for reason in pipeline.REASONS:
        metrics.events_dropped.set({"reason": reason}, 0)
    async with running() as client:
        bad = GOOD | {"session_id": ""}
        page = {"origin": "https://shop.example"}
        answer = await client.send_events([GOOD, bad, GOOD], user_agent=GOOGLEBOT, **page)
        assert (answer.status_code, answer.json()["accepted"], len(answer.json()["rejected"])) == (
            202,
            0,
            1,
        )
        assert (
            answer.headers["x-analytics"]
            == "1 rejected; the first: too_short session_id; 2 dropped: drop_bots"
        )
        await client.send_events(GOOD, user_agent=CHROME, dnt="1", **page)
        text = (await client.get("/metrics")).text
        assert 'analytics_events_dropped_total{reason="drop_bots"} 2' in text
        assert 'analytics_events_dropped_total{reason="drop_opted_out"} 1' in text


def test_the_steps_put_only_so_much_into_all_events_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    visited: list[Visit] = []

    def put_much(visit: Visit) -> None:
        visited.append(visit)
        visit.put("m", "x" * 92)

    monkeypatch.setattr(events, "MAX_REQUEST_BYTES", 1_000)
    assert len(pipeline.run([event()] * 10, browsing(), (put_much,)).events) == 10
    with pytest.raises(TooLarge, match="1000 bytes"):
        pipeline.run([event()] * 99, browsing(), (put_much,))
    assert len(visited) == 10 + 11
