"""The latency of cached answers: each question with cached answers is repeated many times.

Valkey holds the whole answers; each request asks PostgreSQL whether anything has changed since. It
is a part of `bench.queries`.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from analytics.embedded import Valkey
from analytics.errors import AnalyticsError
from analytics.projects import ApiKey
from analytics.queries import QUESTIONS, EncodedAnswer, Sources, answer
from analytics.queries.answers.cache import AnswerCache
from analytics.queries.database.snapshot import open_engine
from analytics.queue.reader import Reader
from analytics.redis import connect
from analytics.settings import Settings

ROUNDS = 51


async def measure_cached(
    url: str,
    folder: Path,
    key: ApiKey,
    queries: Mapping[str, tuple[str, Sequence[tuple[str, str]]]],
) -> dict[str, list[float]]:
    """Sorted milliseconds of each query (path below /api, and parameters) by name.

    Questions without cached answers are left out, and queries that are refused as too slow.
    """
    milliseconds: dict[str, list[float]] = {}
    server = Valkey(folder / "valkey", password="bench")
    server.start()
    settings = Settings(database_url=url, redis_url=server.url)
    engine, redis = open_engine(settings), connect(settings)
    try:
        sources = Sources(engine, Reader(redis), cache=AnswerCache(redis))
        for name, (path, parameters) in queries.items():
            question = next((question for question in QUESTIONS if question.path == path), None)
            if question is None or not question.cacheable:
                continue
            times, hits, query = list[float](), 0, urlencode(parameters).encode()
            for _ in range(ROUNDS + 1):
                start_s = time.perf_counter()
                try:
                    reply = await answer(question, query, {}, key, sources)
                except AnalyticsError:
                    break
                times.append(1000 * (time.perf_counter() - start_s))
                if isinstance(reply, EncodedAnswer):
                    hits += bool(msgspec.json.decode(reply.body)["meta"]["cached"])
            if len(times) > ROUNDS:
                assert hits == ROUNDS, f"{name}: {hits} of {ROUNDS} answers were cached"
                milliseconds[name] = sorted(times[1:])
    finally:
        await redis.aclose()
        await engine.dispose()
        server.kill()
    return milliseconds


def sentence_of(milliseconds: Mapping[str, Sequence[float]], days: int) -> str:
    """The result for docs/performance.md."""
    middle = sorted((statistics.median(times), name) for name, times in milliseconds.items())
    worst = max((times[int(0.95 * len(times))], name) for name, times in milliseconds.items())
    return (
        f"Each of {len(milliseconds)} questions over {days} days was repeated {ROUNDS} times while "
        "nothing changed. "
        f"The p50 is {middle[0][0]:.1f} ms ({middle[0][1]}) to {middle[-1][0]:.1f} ms "
        f"({middle[-1][1]}). The p95 is at most {worst[0]:.1f} ms ({worst[1]})."
    )
