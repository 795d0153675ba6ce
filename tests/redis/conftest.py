"""The fixtures of the queue's tests: what is tested here runs beside the queue."""

from tests.queue.conftest import ledger, redis, settings

__all__ = ["ledger", "redis", "settings"]
