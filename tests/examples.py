"""How many examples a property is tried on: the same few in every run, or `EXAMPLES` times as many,
new ones each time (`make oracle`).
"""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("EXAMPLES", "0"))


def examples(number: int) -> settings:
    """A decorator for a test that Hypothesis gives examples."""
    return settings(
        max_examples=number * max(TIMES, 1),
        derandomize=not TIMES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
