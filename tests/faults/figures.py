"""What a fault cost, as measured; and how long the tests are: short in the ordinary suite, at full
length in `make proof`.
"""

import os

import msgspec

FULL = bool(os.environ.get("PROOF"))


def often(full: int, short: int) -> int:
    """How many times, in `make proof` and in the ordinary suite."""
    return full if FULL else short


class Figures(msgspec.Struct):
    """Of one test. Events by the load client's journal, or by the books where there is none;
    recovery in seconds, the longest.
    """

    acknowledged: int = 0
    lost: int = 0
    duplicated: int = 0
    kills: int = 0
    recovery: float | None = None

    def recovered(self, seconds: float) -> None:
        self.recovery = max(self.recovery or 0.0, round(seconds, 1))
