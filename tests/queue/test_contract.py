"""What we write is what arq reads: the names of its keys and the body of a job."""

import re
from pathlib import Path
from typing import Any

import msgspec
from arq import constants
from arq.connections import ArqRedis
from arq.jobs import deserialize_job_raw
from arq.utils import args_to_string
from arq.worker import Worker as StockWorker
from arq.worker import func
from redis.asyncio import Redis

from analytics.events import pack, unpack
from analytics.queue import Queue, body, scripts
from tests.queue.kit import enqueue, events


def test_the_names_of_arqs_keys_are_arqs() -> None:
    assert (
        constants.job_key_prefix,
        constants.retry_key_prefix,
        constants.in_progress_key_prefix,
    ) == (scripts.JOB, scripts.RETRY, scripts.IN_PROGRESS)


def test_arq_reads_a_body_with_and_without_our_deserializer() -> None:
    sent = events(2)
    raw = body.write(pack(sent), [7, 8])
    name, (packed, numbers), keywords, tries, _ = deserialize_job_raw(
        raw, deserializer=msgspec.msgpack.decode
    )
    assert (name, unpack(packed), numbers, keywords) == ("store", sent, [7, 8], {})
    assert not tries
    _, (payload,), _, _, _ = deserialize_job_raw(raw, deserializer=body.read)
    assert payload == body.Payload(sent, (7, 8))


def test_a_payload_is_short_when_arq_takes_its_repr() -> None:
    """arq builds the whole repr of every argument before it cuts it, even if it logs nothing."""
    payload = body.Payload(events(5000))
    assert args_to_string([payload], {}) == repr(payload) == "<5000 events>"


async def test_a_stock_arq_worker_runs_our_jobs(queue: Queue, redis: Redis) -> None:
    sent = events(3)
    await queue.append(sent)
    seen: list[bytes] = []

    async def store(_: dict[Any, Any], *arguments: Any, **__: Any) -> None:
        seen.extend(arguments)

    pool = ArqRedis(redis.connection_pool)
    worker = StockWorker(
        [func(store, name="store")],  # type: ignore[arg-type]
        redis_pool=pool,
        queue_name=scripts.QUEUE,
        handle_signals=False,
        burst=True,
        poll_delay=0.01,
        keep_result=0,
        job_deserializer=msgspec.msgpack.decode,
    )
    await worker.async_run()
    assert [unpack(packed) for packed in seen] == [sent]


async def test_a_body_never_expires(redis: Redis) -> None:
    """arq's bodies expire after a day while the queue entry stays, and the job is then lost."""
    job_id = await enqueue(redis, events(1))
    assert await redis.pttl(scripts.JOB + job_id) == -1


def test_one_file_knows_arq() -> None:
    package = Path(__file__).parents[2] / "analytics"
    knowing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"^\s*(from|import) arq\b", path.read_text(), re.MULTILINE)
    }
    assert knowing == {"queue/runner.py"}
