"""Robots, by the list of crawler-user-agents. A headless browser is none: it is somebody's test
more often than a crawler.
"""

import re
from functools import cache, lru_cache

from analytics.pipeline.step import DROP, Drop
from analytics.pipeline.visit import Visit

REMEMBERED = 10_000
"""User agents whose verdict is kept."""

KEPT = frozenset({"HeadlessChrome"})
"""Patterns of the list that are not followed; `$browser` tells these apart."""


def drop_bots(visit: Visit) -> Drop | None:
    """The visitor's user agent is on the list of robots, and `BOTS` is `drop`."""
    rule = visit.context.rules.bots
    if rule == "keep" or not (agent := visit.agent) or not is_bot(agent):
        return None
    if rule == "drop":
        return DROP
    visit.put("$bot", True)
    return None


@lru_cache(REMEMBERED)
def is_bot(agent: str) -> bool:
    return _pattern().search(agent) is not None


@cache
def _pattern() -> re.Pattern[str]:
    """The whole list as one expression; read when it is first needed, for it takes a tenth of a
    second.
    """
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    return re.compile(
        "|".join(
            f"(?:{entry['pattern']})"
            for entry in CRAWLER_USER_AGENTS_DATA
            if entry["pattern"] not in KEPT
        )
    )
