"""The user agent: which browser, system and kind of device."""

from functools import cache

from ua_parser import Domain, Parser
from ua_parser.basic import Resolver
from ua_parser.loaders import load_lazy_builtins

from analytics.pipeline.lookups import Lookup
from analytics.pipeline.visit import Visit

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
    if not (agent := visit.agent):
        return
    facts = _facts.of(agent, visit.context.budget)
    if facts is None:
        visit.context.budget.refused += 1
        return
    for name, value in facts:
        visit.put(name, value)


def facts(agent: str) -> tuple[tuple[str, str | None], ...]:
    """The facts in a user agent, by their names in metadata."""
    parsed = _parser()(agent, Domain.USER_AGENT | Domain.OS)
    browser, system = parsed.user_agent, parsed.os
    return (
        ("$browser", browser.family if browser else None),
        ("$browser_version", browser.major if browser else None),
        ("$os", system.family if system else None),
        ("$device", _device(agent)),
    )


_facts = Lookup(facts)


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
