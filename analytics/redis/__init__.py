"""Redis for everything that is not the queue itself: connections, periodic work, salts, the mirror
of API keys.

`connection.py`  how Redis is reached              `crons.py`       periodic work, once for all processors
`salts.py`       the salt of each UTC day          `key_mirror.py`  API keys for roles without a database
"""

from analytics.redis.connection import connect, reaching
from analytics.redis.crons import Cron
from analytics.redis.key_mirror import RedisKeys, mirror
from analytics.redis.salts import Salts

__all__ = ["Cron", "RedisKeys", "Salts", "connect", "mirror", "reaching"]
