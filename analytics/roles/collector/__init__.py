"""The collector: the routes of every protocol, in front of one queue.

`collector.py`  an event's way, and the routes        `intake.py`   keys, origins and limits
`body.py`       read a request's body                 `inflate.py`  decompress it
`limits.py`     rate limits                           `geoip.py`    from IP addresses to countries
`script.py`     the browser tracker                   `slices.py`   the pipeline, in slices
`turns.py`      large bodies, two at a time
"""

from analytics.roles.collector.collector import ROLE, create

__all__ = ["ROLE", "create"]
