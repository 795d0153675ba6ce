"""A step of the pipeline: it changes an event, or drops it."""

from collections.abc import Callable

import msgspec

from analytics.pipeline.visit import Visit


class Drop(msgspec.Struct, frozen=True):
    """What a step returns to drop an event.

    The client still gets success, because it should not send the event again.
    """


DROP = Drop()

Step = Callable[[Visit], Drop | None]
"""If a step drops events, its name is the reason, and its docstring explains the reason."""
