"""The user agent: which browser, system and kind of device."""

from functools import cache, lru_cache

from ua_parser import Parser
from ua_parser.basic import Resolver
from ua_parser.loaders import load_lazy_builtins

from analytics.pipeline.visit import Visit

REMEMBERED = 10_000
"""User agents whose facts are kept; a new one takes milliseconds."""

_TABLETS = (
    "iPad",
    "Tablet",
    "Kindle",
    "Galaxy Tab",
    "Nexus 7",
    "Nexus 10",
    "PlayBook",
    "SM-T",
    "SM-X",
)
_PHONES = ("Mobile", "iPhone", "iPod", "Windows Phone", "Opera Mini")
_TELEVISIONS = (
    "SmartTV",
    "SMART-TV",
    "AppleTV",
    "Apple TV",
    "GoogleTV",
    "BRAVIA",
    "Roku",
    "Tizen",
    "Web0S",
    "CrKey",
    "AFT",
)
_DESKTOPS = ("Windows NT", "Macintosh", "X11", "CrOS", "Linux")


def put_agent(visit: Visit) -> None:
    """`$browser`, `$browser_version` (its major), `$os` and `$device`: desktop, mobile, tablet or
    tv.
    """
    if agent := visit.agent:
        for name, value in facts(agent):
            visit.put(name, value)


@lru_cache(REMEMBERED)
def facts(agent: str) -> tuple[tuple[str, str | None], ...]:
    """What a user agent says, by names in metadata."""
    found = _parser().parse(agent)
    browser, system = found.user_agent, found.os
    return (
        ("$browser", browser.family if browser else None),
        ("$browser_version", browser.major if browser else None),
        ("$os", system.family if system else None),
        ("$device", _device(agent)),
    )


def _device(agent: str) -> str | None:
    """The kind, where the agent gives it away. A tablet with Android is one that does not say
    Mobile.
    """
    if any(word in agent for word in _TELEVISIONS):
        return "tv"
    if any(word in agent for word in _TABLETS) or ("Android" in agent and "Mobile" not in agent):
        return "tablet"
    if any(word in agent for word in _PHONES):
        return "mobile"
    return "desktop" if any(word in agent for word in _DESKTOPS) else None


@cache
def _parser() -> Parser:
    """uap-core's expressions, each compiled when it is first needed."""
    return Parser(Resolver(load_lazy_builtins()))
