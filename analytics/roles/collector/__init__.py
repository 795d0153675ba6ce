"""The collector: every protocol's routes, before one queue.

`collector.py`  the routes and an event's way       `desk.py`     who may send, and into which project
`body.py`       read a request's body               `inflate.py`  decompress it
`limits.py`     rate limits                         `geoip.py`    addresses to countries
`script.py`     the browser tracker
"""

from analytics.roles.collector.collector import app, create

__all__ = ["app", "create"]
