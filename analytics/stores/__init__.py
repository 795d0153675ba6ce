"""Where events are kept: commit jobs, keep the tables in order, migrate the schema. A file and a line for each store."""

from analytics.stores.dead_letters import DeadLetter, DeadLetters
from analytics.stores.postgres import PostgresStore
from analytics.stores.schema import Migration, migrate
from analytics.stores.transaction import Written

__all__ = ["DeadLetter", "DeadLetters", "Migration", "PostgresStore", "Written", "migrate"]
