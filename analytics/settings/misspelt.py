"""Variables of the environment that look like settings, and are none."""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from analytics.settings.table import SECRETS, SETTINGS

KNOWN = (
    "NODE_ENV",
    *(setting.name for setting in SETTINGS),
    *(f"{name}_FILE" for name in SECRETS),
)
LIKENESS = 0.85
"""API_KEY is like API_KEYS; API_HOST and REDIS_PORT are like nothing."""
SHORTEST = 6
"""Shorter names are like too many."""


def misspelt(env: Mapping[str, str] | None = None) -> Iterator[str]:
    """A sentence for each variable whose name is nearly that of a setting which is not set."""
    env = os.environ if env is None else env
    for name in sorted(env):
        if name in KNOWN or len(name) < SHORTEST:
            continue
        meant = name.upper().removeprefix("ANALYTICS_")
        near = get_close_matches(meant, KNOWN, 1, LIKENESS)
        if near and not env.get(near[0]):
            yield f"{name} is set, but is no setting; did you mean {near[0]}?"
