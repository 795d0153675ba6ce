"""How many examples a property is tried on.

`make test` tries a third of them, the same in every run. With EXAMPLES=1 all are tried, again the
same; with EXAMPLES=20, as `make oracle` sets it, twenty times as many, new ones each time.
"""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("EXAMPLES", "0"))
RANDOM = TIMES > 1


def examples(number: int) -> settings:
    """A decorator for a test that Hypothesis gives examples."""
    return settings(
        max_examples=share(number),
        derandomize=not RANDOM,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def share(number: int) -> int:
    """How many of so many are tried, at least one."""
    return number * TIMES or max(number // 3, 1)
