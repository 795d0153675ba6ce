"""The live bus: stored events are published to the processes that listen.

Messages are numbered, so a listener can tell exactly how many events it missed.

`messages.py`   channels, and the count that numbers messages
`publisher.py`  publishes stored events; counts live visitors
`bus.py`        the connection of a process that listens
"""

from analytics.live.bus import Bus, Delivery, Watcher
from analytics.live.publisher import publish, visitors

__all__ = ["Bus", "Delivery", "Watcher", "publish", "visitors"]
