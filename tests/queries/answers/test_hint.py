"""A hint with an answer that is empty because all events are older than the default range."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from analytics.projects import create_project, open_engine
from analytics.queries import QUESTIONS
from analytics.settings import Settings
from analytics.stores import PostgresStore
from tests.queries.answers.cached import put

NEEDED = {"/breakdown": "by=event_type", "/funnel": "step=a&step=b"}


def day(ago: int) -> str:
    return (datetime.now(UTC) - timedelta(days=ago)).date().isoformat()


async def hint(http: httpx2.AsyncClient, path: str) -> str | None:
    answer = await http.get(f"/api{path}")
    assert answer.status_code == 200, answer.text
    text: str | None = answer.json()["meta"].get("hint")
    return text


@pytest.mark.parametrize(
    "path", [question.path for question in QUESTIONS if question.path not in ("/export", "/live")]
)
async def test_every_question_about_a_range_says_where_the_events_are(
    http: httpx2.AsyncClient, store: PostgresStore, path: str
) -> None:
    await put(store, days=80)
    await put(store, days=40)
    asked = f"{path.replace('{id:path}', 'u')}?{NEEDED.get(path, '')}"
    said = await hint(http, asked)
    if path == "/events/{id:path}":
        assert said is None
        return
    assert said == (
        f"no events in the last 30 days; there are some from {day(80)} to {day(40)}: "
        f"ask with from={day(80)}"
    )
    assert await hint(http, asked) == said, "of a cached answer too"


async def test_a_file_says_it_in_a_header(http: httpx2.AsyncClient, store: PostgresStore) -> None:
    assert "x-hint" not in (await http.get("/api/export")).headers
    await put(store, days=40)
    for format in ("ndjson", "csv", "parquet"):
        answer = await http.get(f"/api/export?format={format}")
        assert answer.headers["x-hint"] == (
            f"no events in the last 30 days; there are some from {day(40)} to {day(40)}: "
            f"ask with from={day(40)}"
        )
    assert "x-hint" not in (await http.get("/api/export?last=7d")).headers
    await put(store, days=6)
    assert "x-hint" not in (await http.get("/api/export")).headers


async def test_there_is_none_where_the_range_was_chosen_or_has_events_or_there_are_none(
    http: httpx2.AsyncClient, store: PostgresStore, config: Settings
) -> None:
    assert await hint(http, "/trends") is None
    await put(store, days=40)
    assert await hint(http, "/trends?last=7d") is None
    assert await hint(http, f"/trends?from={day(20)}") is None
    await put(store, days=6)
    assert await hint(http, "/events?event=nothing") is None
    engine = open_engine(config.database())
    await create_project(engine, "shop")
    await engine.dispose()
    assert await hint(http, "/trends?project=shop") is None
