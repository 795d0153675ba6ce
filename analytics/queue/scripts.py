"""The queue's keys in Redis, and the Lua scripts that change them.

Nothing else changes these keys. Each script does all of its work or none, so the books balance at
any moment.
"""

import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

QUEUE = "analytics:queue"
"""arq's queue, a sorted set: job id → when the job may next be claimed, in ms.

For a claimed job that is the end of its claim.
"""

PENDING = "analytics:pending"
"""Sorted set: job id → when the job was appended, in ms by Redis' clock.

No retry changes the time, so the watermark rests on it.
"""

BOOKS = "analytics:books"
"""Hash: the accounts of `events.Books`."""

REPLAYING = "analytics:replaying"
"""Set: numbers of the dead letters being replayed, so that none is counted twice."""

EPOCH = "analytics:epoch"
"""String: the `epoch.Mark` that PostgreSQL expects here."""

JOB = "arq:job:"
RETRY = "arq:retry:"
IN_PROGRESS = "arq:in-progress:"
"""Prefixes of arq's own keys; a test compares them with arq's."""

KEYS = (QUEUE, PENDING, BOOKS, REPLAYING, EPOCH)
"""The keys that every script gets, in this order."""


ALONE = "!"
"""Ends the first part of the id of a job that must share no transaction."""

MAX_PROJECTS_CHARACTERS = 300


def job_id(events: int, projects: Iterable[str] = (), *, alone: bool = False) -> str:
    """A new id, ordered by time, random, and ending with the number of events in the job.

    So a job whose body cannot be read can still be counted. Before that it names the projects of
    the events, so that the job holds back no other's watermark; none, if they are too many to name.
    """
    head = f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}{ALONE if alone else ''}"
    named = "+".join(sorted({*projects}))
    if not named or len(named) > MAX_PROJECTS_CHARACTERS:
        return f"{head}.{events}"
    return f"{head}.{named}.{events}"


def is_alone(job_id: str) -> bool:
    """Whether a job must share no transaction."""
    return job_id.partition(".")[0].endswith(ALONE)


def may_concern(job_id: str, project: str) -> bool:
    """Whether a job may hold events of a project; yes for a job that names none."""
    named = job_id.partition(".")[2].rpartition(".")[0]
    return not named or project in named.split("+")


def count_events(job_id: str) -> int:
    """The number of events that a job's id states; 0 for a job that is not ours."""
    tail = job_id.rpartition(".")[2]
    return int(tail) if tail.isdecimal() else 0


async def queued(redis: Redis) -> int:
    """Events in the queue, by the books."""
    # redis-py types the command as if it were not async
    events: bytes | None = await redis.hget(BOOKS, "queued")  # type: ignore[misc]
    return int(events or 0)


class Script:
    """A Lua script over KEYS. Redis gets its text once and then only its digest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, *arguments: str | bytes | float) -> Any:
        """What the script returns. Raises RedisError."""
        execute: Callable[..., Awaitable[Any]] = redis.execute_command
        try:
            return await execute("EVALSHA", self._digest, len(KEYS), *KEYS, *arguments)
        except NoScriptError:  # its first call, or Redis was restarted; nothing has been done
            return await execute("EVAL", self.text, len(KEYS), *KEYS, *arguments)


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
  if redis.call('SISMEMBER', KEYS[4], number) == 1 then return {{-1}} end
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
if events > 0 then
  for _, number in ipairs(numbers) do redis.call('SADD', KEYS[4], number) end
  if #numbers > 0 then
    redis.call('HINCRBY', KEYS[3], 'dead_lettered', -events)
  else
    redis.call('HINCRBY', KEYS[3], 'accepted', events)
  end
  redis.call('HINCRBY', KEYS[3], 'queued', events)
end
return {{tonumber(redis.call('HGET', KEYS[3], 'accepted') or 0), redis.call('GET', KEYS[5])}}
"""
)
"""Append jobs.

Arguments: the numbers of the dead letters that the jobs replay, the share of maxmemory that may be
in use, then id, number of events and body of each job.

Returns the account `accepted` of the books after it, and the epoch's mark. A job already in the
queue is left as it is. Returns only -1, and does nothing, when one of the dead letters is being
replayed already. Raises OutOfMemoryError, and does nothing, when more memory is in use: claims need
memory too, so a full Redis could not be drained. Bodies have no expiry: SETTLE deletes them.
"""

CLAIM = Script(
    _NOW
    + f"""
local token, hold, jobs = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local room, batch = tonumber(ARGV[4]), tonumber(ARGV[5])
local left, most = tonumber(ARGV[6]), tonumber(ARGV[7])
local claimed = {{}}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, jobs)) do
  local bytes = redis.call('STRLEN', '{JOB}' .. id)
  if room <= 0 or (bytes > left and left < most) then break end
  if redis.call('SET', '{IN_PROGRESS}' .. id, token, 'NX', 'PX', hold) then
    redis.call('ZADD', KEYS[1], 'XX', now + hold, id)
    claimed[#claimed + 1] = {{id, bytes}}
    left = left - bytes
    room = room - math.min(tonumber(string.match(id, '%.(%d+)$') or 1), batch)
  end
end
return claimed
"""
)
"""Claim jobs, oldest first; returns the id of each and the bytes of its body.

Arguments: the claimer's token, how long the claim lasts in ms, the most jobs, the most events, how
many events fill a transaction (a larger job counts as that many), the most bytes now, and the most
bytes of a claimer that holds nothing: it gets one job even if that is larger.

A claimed job moves behind the waiting jobs, so jobs in work never hide the others, however many
processors hold them. A job whose claimer died comes back by itself when its claim ends.
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
"""Give claimed jobs back.

Arguments: the claimer's token, then id and ms until the next try of each job. A job that another
processor has claimed since is left alone.
"""

SPLIT = Script(
    f"""
local token, id = ARGV[1], ARGV[2]
if redis.call('GET', '{IN_PROGRESS}' .. id) ~= token then return 0 end
local appended = redis.call('ZSCORE', KEYS[2], id)
if not appended then return 0 end
for i = 3, #ARGV, 2 do
  redis.call('SET', '{JOB}' .. ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[1], 0, ARGV[i])
  redis.call('ZADD', KEYS[2], appended, ARGV[i])
end
redis.call('ZREM', KEYS[1], id)
redis.call('ZREM', KEYS[2], id)
redis.call('DEL', '{JOB}' .. id, '{RETRY}' .. id, '{IN_PROGRESS}' .. id)
return 1
"""
)
"""Replace a job by several with the same events, which may be claimed at once.

Arguments: the claimer's token, the job's id, then id and body of each new job. The books stay as
they are, and so does the watermark. Returns 0, and does nothing, when the job is no longer the
claimer's.
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
"""Take jobs out of the queue and write their outcomes into the books.

Arguments, for each job: its id, the counts stored, duplicate and dead-lettered, and the numbers of
the dead letters it replayed. Returns the number of events settled. Settling again changes nothing.
"""

MARK = Script(
    """
local held = redis.call('GET', KEYS[5]) or ''
if held == ARGV[1] then redis.call('SET', KEYS[5], ARGV[2]) end
return (held == ARGV[1] or held == ARGV[2]) and 1 or 0
"""
)
"""Replace the mark of the epoch, if it is still the one that the caller has seen.

Arguments: that one, '' for none, and the new one. Returns 1 if Redis now holds the new one. So a
processor that was slow cannot put an older mark over a newer one.
"""
