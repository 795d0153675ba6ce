"""Redis for everything but the queue.

`connection.py`  the client, and what its errors mean
`crons.py`       periodic work, done by one processor for all
`salts.py`       the salt of each UTC day
`key_mirror.py`  API keys and projects for roles without a database
"""

from analytics.redis.connection import connect, raises_unavailable
from analytics.redis.crons import Cron
from analytics.redis.key_mirror import RedisKeys, RedisProjects, mirror
from analytics.redis.salts import Salts

__all__ = ["Cron", "RedisKeys", "RedisProjects", "Salts", "connect", "mirror", "raises_unavailable"]
