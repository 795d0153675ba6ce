"""Where events are kept: store batches, keep the tables in order, migrate the schema.

`postgres.py`     the store: write, maintain, check      `schema.py`  migrations
`writing/`        what one storing transaction writes    `upkeep/`    compact, rebuild, verify, pack
`identity/`       which actors are one person            `layouts/`   plain PostgreSQL, TimescaleDB
`connections.py`  every wait is bounded                  `locks.py`   advisory locks
`faults.py`       what a database error means
"""

from analytics.stores.postgres import PostgresStore
from analytics.stores.schema import Migration, migrate
from analytics.stores.writing.dead_letters import DeadLetter, DeadLetters
from analytics.stores.writing.transaction import Written

__all__ = ["DeadLetter", "DeadLetters", "Migration", "PostgresStore", "Written", "migrate"]
