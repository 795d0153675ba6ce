"""The queue between collector and processor: group commit on one side, arq's worker on the other,
exact books between them.

`keys.py`       its Redis keys, and the scripts that change them
`commit.py`     many requests, one job            `body.py`    a job's bytes
`admission.py`  when to refuse, and why           `reader.py`  depth, books, watermark
`worker.py`     claim, store, settle; arq         `gather.py`  many jobs, one transaction
"""

from analytics.queue.commit import Queue
from analytics.queue.reader import Depth
from analytics.queue.worker import Worker

__all__ = ["Depth", "Queue", "Worker"]
