"""Questions that take long, more than there are places for: the light ones are answered all the
while, and events are stored.
"""

import asyncio
import itertools
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import httpx2
import msgspec

from tests.faults.load import event, post
from tests.faults.platform import API_KEY, Platform
from tests.waiting import wait_for

TEXTS = """
insert into raw_events
  (project, id, session_id, user_id, event_type, event_action, metadata, timestamp, created_at)
select
  'default', gen_random_uuid(), 's' || n, null, 'text', 'sent',
  jsonb_build_object('text', words.text), now(), now()
from generate_series(1, 2000) n,
lateral (
  select string_agg(
    translate(md5((1000 * n + i)::text), '0123456789abcdef', 'abababababababab'), ''
  ) as text from generate_series(1, 100) i
) words
"""
"""2,000 rows of 3,200 random letters a and b."""

LONG = (
    "select count(*) from pg_stat_activity where application_name = 'analytics api'"
    " and state = 'active' and now() - query_start > interval '0.6 s'"
)
PLACES, WAITING = 3, 20


def heavy(number: int) -> str:
    """A question with a regular expression that PostgreSQL needs minutes to search for."""
    questions = [("trends", {}), ("breakdown", {"by": "event_type"}), ("paths", {})]
    path, parameters = questions[number % 3]
    where = f"metadata.text.re.[ab]*a[ab]{{20}}c{number}"
    return f"/api/{path}?{urlencode({**parameters, 'where': where}, quote_via=quote)}"


async def test_heavy_questions_starve_neither_light_ones_nor_ingestion(platform: Platform) -> None:
    collector, _, api = (platform.role(name) for name in ("collector", "processor", "api"))
    platform.sql(TEXTS)
    headers: Mapping[str, str] = {"X-API-Key": API_KEY}
    async with httpx2.AsyncClient(base_url=api.url, headers=headers, timeout=120) as http:
        numbers, enough = itertools.count(), asyncio.Event()

        async def ask() -> list[httpx2.Response]:
            """A heavy question, and another when it is given up or found no place: the lane stays
            full for as long as a busy machine needs for the light ones.
            """
            answers = [await http.get(heavy(next(numbers)))]
            while not enough.is_set() and answers[-1].status_code == 503:
                await asyncio.sleep(0.5)
                answers.append(await http.get(heavy(next(numbers))))
            return answers

        asking = [asyncio.create_task(ask()) for _ in range(PLACES + WAITING + 5)]
        await asyncio.to_thread(
            wait_for, lambda: int(platform.sql(LONG)) >= PLACES, "the heavy lane to be full"
        )

        for number in range(10):
            sent = event(number, event_type="light")
            assert (await asyncio.to_thread(post, collector.port, msgspec.json.encode(sent)))[
                0
            ] == 202
            for question in (
                f"trends?event=light&limit={number + 1}",
                f"breakdown?by=event_type&event=light&limit={number + 1}",
                "live",
                "users?limit=1",
            ):
                answer = await http.get(f"/api/{question}")
                assert answer.status_code == 200, (question, answer.text)
        stored = "/api/trends?event=light&last=1h"
        async with asyncio.timeout(120):
            while (await http.get(stored)).json()["data"]["series"][0]["total"] < 10:
                pass
        await asyncio.to_thread(
            wait_for, lambda: int(platform.sql(LONG)) >= PLACES, "the heavy lane to be full still"
        )

        enough.set()
        answers = await asyncio.gather(*asking)
    refused = [answer for each in answers for answer in each if answer.status_code != 200]
    assert (
        {(503, "busy")}
        <= {(answer.status_code, answer.json()["error"]["code"]) for answer in refused}
        <= {(503, "busy"), (503, "too_slow")}
    )
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
