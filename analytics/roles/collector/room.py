"""Room that all senders share, and none fills alone."""

from analytics.errors import Unavailable

AGAIN_SECONDS = 5
"""When a sender that found no room may come again."""


class Room:
    """So much of something at once, `size` in all.

    A sender may take as much as it leaves free: half when it is alone, less beside others. So
    there is nearly always some room for a sender that has none.
    """

    def __init__(self, size: int, what: str) -> None:
        """`what` is said to whom is refused."""
        self._free = size
        self._what = what
        self._taken: dict[str, int] = {}

    def take(self, sender: str, amount: int) -> None:
        """Raises Unavailable, and takes nothing, if that is more than the sender may have."""
        taken = self._taken.get(sender, 0) + amount
        if taken > self._free - amount:
            raise Unavailable(self._what, code="busy", retry_after=AGAIN_SECONDS)
        self._free -= amount
        self._taken[sender] = taken

    def give_back(self, sender: str, amount: int) -> None:
        """Give back what was taken."""
        self._free += amount
        left = self._taken.pop(sender, 0) - amount
        if left:
            self._taken[sender] = left
