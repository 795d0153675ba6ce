"""The connection to Redis: errors that a client may see, and commands that are sent once."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from analytics.errors import Unavailable
from analytics.redis.connection import FULL_RETRY_SECONDS, connect, raises_unavailable
from analytics.settings import Settings


@pytest.mark.parametrize(
    ("error", "code", "retry_after"),
    [
        (OutOfMemoryError("command not allowed"), "queue_full", FULL_RETRY_SECONDS),
        (ResponseError("Error running script: OOM"), "queue_full", FULL_RETRY_SECONDS),
        (ResponseError("READONLY"), "queue_unreachable", 1),
        (RedisConnectionError("to 10.1.2.3:6379"), "queue_unreachable", 1),
        (OSError(113, "no route to 10.1.2.3"), "queue_unreachable", 1),
        (TimeoutError("10.1.2.3"), "queue_unreachable", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_of_redis_says_only_whether_it_is_full_or_away(
    error: Exception, code: str, retry_after: int
) -> None:
    with pytest.raises(Unavailable) as shown, raises_unavailable():
        raise error
    assert (shown.value.code, shown.value.retry_after) == (code, retry_after)
    assert "10.1.2.3" not in shown.value.message
    assert shown.value.__cause__ is error


def test_an_error_of_ours_stays_what_it_is() -> None:
    with pytest.raises(KeyError), raises_unavailable():
        raise KeyError


async def test_a_command_without_an_answer_is_given_up_and_not_sent_again() -> None:
    lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers what opens a connection, and nothing else."""
        answers = {b"PING\r\n": b"+PONG\r\n", b"CLIENT\r\n": b"+OK\r\n"}
        while line := await reader.readline():
            lines.append(line)
            writer.write(answers.get(line, b""))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        redis = connect(Settings(redis_url=f"redis://127.0.0.1:{port}"), timeout=0.5)
        with pytest.raises(RedisTimeoutError):
            await redis.incr("count")
        await redis.aclose()
    assert lines.count(b"count\r\n") == 1
