"""The work that filters without a database may do for one reader, in steps of some 50 ns."""

BURST_STEPS = 500_000
"""What a reader may use at once, as when its patterns meet their first texts."""

EVENT_STEPS = 5_000
"""What it may use for each event besides; 20 patterns on short texts take a tenth of that."""


class TooCostly(Exception):
    """The filters of a reader take too much work."""


class Work:
    """What is left of a reader's budget: of BURST_STEPS, refilled with EVENT_STEPS an event."""

    __slots__ = ("left",)

    def __init__(self, steps: float = BURST_STEPS) -> None:
        self.left = steps

    def refill(self, events: int) -> None:
        """Add the steps for so many events, of which the next refill leaves BURST_STEPS."""
        self.left = min(self.left, BURST_STEPS) + events * EVENT_STEPS

    def spend(self, steps: int) -> None:
        """Count work that is about to be done. Raises TooCostly when it is too much."""
        self.left -= steps
        if self.left < 0:
            raise TooCostly("the filters of this connection take too much work")
