"""The site that the visitor came from."""

import re

from analytics.pipeline.page import split
from analytics.pipeline.visit import Visit

HOSTS = {
    "Google": r"google\.[a-z.]{2,6}",
    "Bing": r"bing\.com",
    "DuckDuckGo": r"duckduckgo\.com",
    "Yahoo": r"yahoo\.[a-z.]{2,6}",
    "Yandex": r"yandex\.[a-z.]{2,6}|ya\.ru",
    "Baidu": r"baidu\.com",
    "Ecosia": r"ecosia\.org",
    "Qwant": r"qwant\.com",
    "Startpage": r"startpage\.com",
    "Brave": r"search\.brave\.com",
    "Kagi": r"kagi\.com",
    "ChatGPT": r"chatgpt\.com|chat\.openai\.com",
    "Perplexity": r"perplexity\.ai",
    "Claude": r"claude\.ai",
    "Facebook": r"facebook\.com|fb\.com",
    "Instagram": r"instagram\.com",
    "X": r"twitter\.com|x\.com|t\.co",
    "LinkedIn": r"linkedin\.com|lnkd\.in",
    "Reddit": r"reddit\.com",
    "YouTube": r"youtube\.com|youtu\.be",
    "TikTok": r"tiktok\.com",
    "Pinterest": r"pinterest\.[a-z.]{2,6}|pin\.it",
    "Mastodon": r"mastodon\.social",
    "Bluesky": r"bsky\.app",
    "Hacker News": r"news\.ycombinator\.com",
    "GitHub": r"github\.com",
    "Wikipedia": r"wikipedia\.org",
}
"""Name of a source → the pattern of its hosts; their subdomains belong to it."""

_SOURCE = re.compile(
    "|".join(rf"(?:^|.*\.)(?P<s{number}>{hosts})$" for number, hosts in enumerate(HOSTS.values()))
)
_NAMES = {f"s{number}": name for number, name in enumerate(HOSTS)}


def put_referrer(visit: Visit) -> None:
    """`$referrer_domain` and `$referrer_source`, from `$referrer`; none for the same host."""
    if not (referrer := visit.text("$referrer")) or not (parts := split(referrer)):
        return
    domain = _domain(parts.hostname or "")
    if domain == _domain(visit.text("$host")):
        return
    visit.put("$referrer_domain", domain)
    visit.put("$referrer_source", source(domain))


def source(domain: str) -> str:
    """The name of a source by its domain; a domain that is not in HOSTS is its own name."""
    match = _SOURCE.match(domain[:255])
    return _NAMES[match.lastgroup] if match and match.lastgroup else domain


def _domain(host: str) -> str:
    return host.lower().removeprefix("www.")
