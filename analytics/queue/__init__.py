"""The queue between collector and processor, with exact books of every event.

The collector appends jobs by group commit; the processor takes them with arq's worker.

`scripts.py`        the queue's keys in Redis, and the Lua scripts that change them
`commit.py`         group commit: the events of many requests become one job
`body.py`           the bytes of a job
`backpressure.py`   whether the queue accepts events, and why not
`reader.py`         depth, books, watermark
`worker.py`         claim, store and settle jobs
`claims.py`         the jobs that a worker holds, and its room for more
`runner.py`         runs a job; the only file that knows arq
`gather.py`         many jobs in one transaction
`line.py`           those that wait for one
`pace.py`           how large transactions are, and pauses after failures
`suspects.py`       jobs that share no transaction, because one with them failed
`burial.py`         jobs that cannot be stored: split, or kept as dead letters
"""

from analytics.queue.commit import Queue
from analytics.queue.reader import Depth
from analytics.queue.worker import Worker

__all__ = ["Depth", "Queue", "Worker"]
