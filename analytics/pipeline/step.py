"""What a step may decide besides changing an event."""

from collections.abc import Callable

import msgspec

from analytics.pipeline.visit import Visit


class Drop(msgspec.Struct, frozen=True):
    """The verdict that an event goes no further; the client is told of success, for there is
    nothing to send again.
    """


DROP = Drop()

Step = Callable[[Visit], Drop | None]
"""A function whose name says what it does; of one that drops, the name is the reason, and its
docstring explains it.
"""
