"""The queue between collector and processor: group commit on one side, arq's worker on the other, exact books between them.

`connection.py`  how Redis is reached             `keys.py`    its keys, and the scripts that change them
`commit.py`      many requests, one job           `body.py`    a job's bytes
`admission.py`   when to refuse, and why          `reader.py`  depth, books, watermark
`worker.py`      claim, store, settle; arq        `gather.py`  many jobs, one transaction
`crons.py`       periodic work, once for all processors   `salts.py`   the day's salt
"""

from analytics.queue.commit import Queue
from analytics.queue.connection import connect
from analytics.queue.crons import Cron
from analytics.queue.reader import Depth
from analytics.queue.salts import Salts
from analytics.queue.worker import Worker

__all__ = ["Cron", "Depth", "Queue", "Salts", "Worker", "connect"]
