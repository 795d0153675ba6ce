"""The collector: the routes of every protocol, in front of one queue.

`collector.py`  an event's way, and the routes        `intake.py`   keys, origins and limits
`body.py`       read a request's body                 `inflate.py`  decompress it
`limits.py`     rate limits                           `geoip.py`    from IP addresses to countries
`script.py`     the browser tracker                   `work.py`     a request's work, in fair parts
`slices.py`     on the loop, in slices                `turns.py`    in threads, a few at a time
`line.py`       whose turn it is                      `room.py`     how much may be here
"""

from analytics.roles.collector.collector import ROLE, create

__all__ = ["ROLE", "create"]
