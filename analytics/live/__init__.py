"""The live bus: what was stored is published to who listens, numbered so that a listener can say
exactly what it missed.
"""

from analytics.live.bus import Batch, Bus, Watcher
from analytics.live.publisher import publish, visitors

__all__ = ["Batch", "Bus", "Watcher", "publish", "visitors"]
