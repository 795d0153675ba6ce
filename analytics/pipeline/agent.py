"""The user agent: which browser, system and kind of device."""

from functools import cache, lru_cache

from ua_parser import Parser
from ua_parser.basic import Resolver
from ua_parser.loaders import load_lazy_builtins

from analytics.pipeline.visit import Visit

CACHED_AGENTS = 10_000
"""User agents whose facts are cached, because parsing a new one takes milliseconds."""

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
    """`$browser`, `$browser_version` (major), `$os`, `$device` (desktop, mobile, tablet, tv)."""
    if agent := visit.agent:
        for name, value in facts(agent):
            visit.put(name, value)


@lru_cache(CACHED_AGENTS)
def facts(agent: str) -> tuple[tuple[str, str | None], ...]:
    """The facts in a user agent, by their names in metadata."""
    parsed = _parser().parse(agent)
    browser, system = parsed.user_agent, parsed.os
    return (
        ("$browser", browser.family if browser else None),
        ("$browser_version", browser.major if browser else None),
        ("$os", system.family if system else None),
        ("$device", _device(agent)),
    )


def _device(agent: str) -> str | None:
    """The kind of device, if the agent shows it. Android without `Mobile` is a tablet."""
    if any(word in agent for word in _TELEVISIONS):
        return "tv"
    if any(word in agent for word in _TABLETS) or ("Android" in agent and "Mobile" not in agent):
        return "tablet"
    if any(word in agent for word in _PHONES):
        return "mobile"
    return "desktop" if any(word in agent for word in _DESKTOPS) else None


@cache
def _parser() -> Parser:
    """uap-core's patterns, each compiled at its first use."""
    return Parser(Resolver(load_lazy_builtins()))
