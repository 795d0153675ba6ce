"""Where events are stored: write batches, keep the tables in order, migrate the schema.

`postgres.py`     the store: write jobs, do periodic upkeep, check health
`writing/`        what one storing transaction writes
`identity/`       which actors are one person
`upkeep/`         compact, rebuild, verify and pack derived data
`layouts/`        raw_events in plain PostgreSQL and in TimescaleDB
`schema.py`       migrations
`guide.py`        events of the deployment guide's own tables
`connections.py`  connections whose every wait is bounded
`locks.py`        advisory locks
`faults.py`       what a database error means
"""

from analytics.stores.postgres import PostgresStore
from analytics.stores.schema import Migration, migrate
from analytics.stores.writing.dead_letters import DeadLetter, DeadLetters
from analytics.stores.writing.transaction import Written

__all__ = ["DeadLetter", "DeadLetters", "Migration", "PostgresStore", "Written", "migrate"]
