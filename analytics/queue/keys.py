"""What the queue is called in Redis, and the scripts that are the only ones to change it: each does
all of its work or none.
"""

import hashlib
import os
import time
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

QUEUE = "analytics:queue"
"""arq's queue, sorted: job id → when it may next be claimed, in ms. A claimed job stands at the end
of its claim.
"""

PENDING = "analytics:pending"
"""Sorted: job id → when it was appended, in ms. Redis' own clock, and no retry moves it: the
watermark rests on it.
"""

BOOKS = "analytics:books"
"""Hash: the accounts of `events.Books`."""

REPLAYING = "analytics:replaying"
"""Set: numbers of the dead letters that are on their way again, so that none is counted twice."""

JOB = "arq:job:"
RETRY = "arq:retry:"
IN_PROGRESS = "arq:in-progress:"
"""arq's own names; a test holds them to arq's."""

KEYS = (QUEUE, PENDING, BOOKS, REPLAYING)
"""What every script gets, in this order."""


def job_id(events: int) -> str:
    """A new id: time-ordered, random, and telling how many events the job holds, so that one that
    cannot be read can still be counted.
    """
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}.{events}"


def count(job_id: str) -> int:
    """The events of a job, by its id; 0 for a job that is not ours."""
    tail = job_id.rpartition(".")[2]
    return int(tail) if tail.isdecimal() else 0


async def queued(redis: Redis) -> int:
    """Events in the queue, by the books."""
    found: bytes | None = await redis.hget(BOOKS, "queued")  # type: ignore[misc]  # redis-py types it as if it were not async
    return int(found or 0)


class Script:
    """A Lua script over KEYS, sent once and called by its digest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, *arguments: str | bytes | float) -> Any:
        try:
            return await redis.execute_command(
                "EVALSHA", self._digest, len(KEYS), *KEYS, *arguments
            )  # type: ignore[no-untyped-call]
        except NoScriptError:  # never called here, or Redis was restarted; nothing has been done
            return await redis.execute_command("EVAL", self.text, len(KEYS), *KEYS, *arguments)  # type: ignore[no-untyped-call]


_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

ENQUEUE = Script(
    _NOW
    + f"""
local memory = redis.pcall('INFO', 'memory')
local limit = type(memory) == 'string' and tonumber(string.match(memory, '\\nmaxmemory:(%d+)')) or 0
if limit > 0 and tonumber(string.match(memory, '\\nused_memory:(%d+)')) >= limit * ARGV[2] then
  return redis.error_reply('OOM what is left of maxmemory is for those who drain the queue')
end
local numbers = {{}}
for number in string.gmatch(ARGV[1], '%d+') do
  if redis.call('SISMEMBER', KEYS[4], number) == 1 then return -1 end
  numbers[#numbers + 1] = number
end
local events = 0
for i = 3, #ARGV, 3 do
  if redis.call('ZADD', KEYS[1], 'NX', now, ARGV[i]) == 1 then
    redis.call('SET', '{JOB}' .. ARGV[i], ARGV[i + 2])
    redis.call('ZADD', KEYS[2], now, ARGV[i])
    events = events + ARGV[i + 1]
  end
end
if events == 0 then return 0 end
for _, number in ipairs(numbers) do redis.call('SADD', KEYS[4], number) end
if #numbers > 0 then
  redis.call('HINCRBY', KEYS[3], 'dead_lettered', -events)
else
  redis.call('HINCRBY', KEYS[3], 'accepted', events)
end
redis.call('HINCRBY', KEYS[3], 'queued', events)
return events
"""
)
"""Append jobs. Arguments: the dead letters they replay, the share of maxmemory that may be used,
then id, events and body of each job.

Raises OutOfMemoryError, and nothing is done, when more is used: claims need memory too, and a Redis
that is full to the brim could not be drained. Returns the events appended, or -1 (and nothing is
done) when one of the dead letters is on its way already. A job that is in the queue already is left
as it is. Bodies have no expiry: they go when their job is settled.
"""

CLAIM = Script(
    _NOW
    + f"""
local token, hold, jobs, room, batch = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local claimed = {{}}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, jobs)) do
  if room <= 0 then break end
  if redis.call('SET', '{IN_PROGRESS}' .. id, token, 'NX', 'PX', hold) then
    redis.call('ZADD', KEYS[1], 'XX', now + hold, id)
    claimed[#claimed + 1] = id
    room = room - math.min(tonumber(string.match(id, '%.(%d+)$') or 1), batch)
  end
end
return claimed
"""
)
"""Claim jobs, oldest first. Arguments: the claimer's token, ms that a claim lasts, jobs at most,
room in events, events that fill a transaction.

A job counts for no more than a transaction. What is claimed moves behind what waits, so the jobs in
work, however many processors hold them, never hide the others; and a job whose claimer died comes
back by itself when its claim ends.
"""

RELEASE = Script(
    _NOW
    + f"""
for i = 2, #ARGV, 2 do
  local lock = '{IN_PROGRESS}' .. ARGV[i]
  if redis.call('GET', lock) == ARGV[1] then
    redis.call('DEL', lock)
    redis.call('ZADD', KEYS[1], 'XX', now + ARGV[i + 1], ARGV[i])
  end
end
"""
)
"""Give claimed jobs back. Arguments: the claimer's token, then id and ms until the next try of each
job. A claim that another holds by now is left alone.
"""

SETTLE = Script(
    f"""
local stored, duplicate, dead = 0, 0, 0
for i = 1, #ARGV, 5 do
  local id = ARGV[i]
  if redis.call('ZREM', KEYS[1], id) == 1 then
    redis.call('ZREM', KEYS[2], id)
    stored, duplicate, dead = stored + ARGV[i + 1], duplicate + ARGV[i + 2], dead + ARGV[i + 3]
    for number in string.gmatch(ARGV[i + 4], '%d+') do redis.call('SREM', KEYS[4], number) end
  end
  redis.call('DEL', '{JOB}' .. id, '{RETRY}' .. id, '{IN_PROGRESS}' .. id)
end
local settled = stored + duplicate + dead
if settled == 0 then return 0 end
redis.call('HINCRBY', KEYS[3], 'stored', stored)
redis.call('HINCRBY', KEYS[3], 'duplicate', duplicate)
redis.call('HINCRBY', KEYS[3], 'dead_lettered', dead)
redis.call('HINCRBY', KEYS[3], 'queued', -settled)
return settled
"""
)
"""Take jobs out of the queue and write their outcome into the books. Arguments: id, stored,
duplicate, dead-lettered and replayed dead letters of each job. Returns the events settled; settling
again changes nothing.
"""
