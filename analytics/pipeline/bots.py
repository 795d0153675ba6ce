"""Bots, by the list of crawler-user-agents.

A headless browser does not count as one: more often it is somebody's test than a crawler.
"""

import re
from functools import cache

from analytics.pipeline.lookups import Lookup
from analytics.pipeline.step import DROP, Drop
from analytics.pipeline.visit import Visit

NOT_BOTS = frozenset({"HeadlessChrome"})
"""Patterns of the list that are ignored; `$browser` shows these visitors."""


def drop_bots(visit: Visit) -> Drop | None:
    """The visitor's user agent is on the list of robots, and `BOTS` is `drop`."""
    rule = visit.context.rules.bots
    if rule == "keep" or not (agent := visit.agent):
        return None
    if not _bots.of(agent, visit.context.budget):
        return None
    if rule == "drop":
        return DROP
    visit.put("$bot", True)
    return None


def is_bot(agent: str) -> bool:
    """Whether a user agent is on the list."""
    return _pattern().search(agent) is not None


_bots = Lookup(is_bot)


@cache
def _pattern() -> re.Pattern[str]:
    """The whole list as one pattern; compiled at its first use, because that takes 0.1 s."""
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    patterns = (entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA)
    return re.compile("|".join(f"(?:{text})" for text in patterns if text not in NOT_BOTS))
