"""Where events are kept: commit jobs, keep the tables in order, migrate the schema. A file and a line for each store.

`postgres.py`      the store: commit, maintain, say how it is   `transaction.py`  one transaction, step by step
`rows.py`          events → rows                                `ledger.py`       which ids are known
`daily.py`         counts per day                               `stored_jobs.py`  what became of a job
`dead_letters.py`  what could not be stored                     `faults.py`       what an error means
`layouts.py`       the layouts, and which one it is             `native.py`       partitions of plain PostgreSQL
`timescale.py`     chunks of TimescaleDB                        `schema.py`       migrations
`connections.py`   every wait is bounded                        `locks.py`        advisory locks
"""

from analytics.stores.dead_letters import DeadLetter, DeadLetters
from analytics.stores.postgres import PostgresStore
from analytics.stores.schema import Migration, migrate
from analytics.stores.transaction import Written

__all__ = ["DeadLetter", "DeadLetters", "Migration", "PostgresStore", "Written", "migrate"]
