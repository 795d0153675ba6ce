"""What an answer costs that was given before: each question whose answers are kept is asked once,
and then again and again.

Whole answers, with a Valkey that holds them; that nothing has changed since is asked of PostgreSQL
each time. It is a part of `bench.queries`.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from analytics.embedded import Valkey
from analytics.errors import AnalyticsError
from analytics.projects import Key
from analytics.queries import QUESTIONS, Reply, Sources, answer
from analytics.queries.answers.cache import AnswerCache
from analytics.queries.database.snapshot import open_engine
from analytics.queue.reader import Reader
from analytics.redis import connect
from analytics.settings import Settings

ROUNDS = 51


async def kept(
    url: str, folder: Path, key: Key, asked: Mapping[str, tuple[str, Sequence[tuple[str, str]]]]
) -> dict[str, list[float]]:
    """Milliseconds, sorted, of each name of `asked` (path below /api and parameters); without those
    that are not kept or take too long to be made.
    """
    found: dict[str, list[float]] = {}
    server = Valkey(folder / "valkey", password="bench")
    server.start()
    settings = Settings(database_url=url, redis_url=server.url)
    engine, redis = open_engine(settings), connect(settings)
    try:
        sources = Sources(engine, Reader(redis), cache=AnswerCache(redis))
        for name, (path, parameters) in asked.items():
            question = next((question for question in QUESTIONS if question.path == path), None)
            if question is None or not question.cacheable:
                continue
            times, hits, query = list[float](), 0, urlencode(parameters).encode()
            for _ in range(ROUNDS + 1):
                began = time.perf_counter()
                try:
                    reply = await answer(question, query, {}, key, sources)
                except AnalyticsError:
                    break
                times.append(1000 * (time.perf_counter() - began))
                if isinstance(reply, Reply):
                    hits += msgspec.json.decode(reply.body)["meta"]["cached"]
            if len(times) > ROUNDS:
                assert hits == ROUNDS, f"{name}: {hits} of {ROUNDS} answers were kept ones"
                found[name] = sorted(times[1:])
    finally:
        await redis.aclose()
        await engine.dispose()
        server.kill()
    return found


def said(found: Mapping[str, Sequence[float]], days: int) -> str:
    """In a sentence, for the page."""
    middle = sorted((statistics.median(times), name) for name, times in found.items())
    worst = max((times[int(0.95 * len(times))], name) for name, times in found.items())
    return (
        f"Each of {len(found)} questions over {days} days was repeated {ROUNDS} times while "
        "nothing changed. "
        f"The p50 is {middle[0][0]:.1f} ms ({middle[0][1]}) to {middle[-1][0]:.1f} ms "
        f"({middle[-1][1]}). The p95 is at most {worst[0]:.1f} ms ({worst[1]})."
    )
