"""The fixtures of the queue's and of the keys' tests: what is tested here runs beside both."""

from tests.projects.conftest import clock, engine
from tests.queue.conftest import ledger, redis, settings

__all__ = ["clock", "engine", "ledger", "redis", "settings"]
