"""The site that the visitor came from."""

import re

from analytics.pipeline.host import canonical
from analytics.pipeline.page import host, site, split
from analytics.pipeline.visit import Visit

HOSTS = {
    "Google": r"google\.[a-z.]{2,6}|com\.google\.android\.googlequicksearchbox|284815942",
    "Gmail": r"com\.google\.android\.gm|422689480",
    "Bing": r"bing\.com|com\.microsoft\.bing",
    "DuckDuckGo": r"duckduckgo\.com|com\.duckduckgo\.mobile\.android",
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
    "Facebook": r"facebook\.com|fb\.com|com\.facebook\.(?:katana|lite)|284882215",
    "Instagram": r"instagram\.com|com\.instagram\.android|389801252",
    "X": r"twitter\.com|x\.com|t\.co|com\.twitter\.android|333903271",
    "LinkedIn": r"linkedin\.com|lnkd\.in|com\.linkedin\.android|288429040",
    "Reddit": r"reddit\.com|com\.reddit\.frontpage|1064216828",
    "YouTube": r"youtube\.com|youtu\.be|com\.google\.android\.youtube|544007664",
    "TikTok": r"tiktok\.com|com\.zhiliaoapp\.musically|835599320",
    "Pinterest": r"pinterest\.[a-z.]{2,6}|pin\.it|com\.pinterest|429047995",
    "WhatsApp": r"whatsapp\.com|wa\.me|com\.whatsapp|310633997",
    "Telegram": r"telegram\.org|t\.me|org\.telegram\.messenger|686449807",
    "Slack": r"slack\.com|com\.slack|618783545",
    "Mastodon": r"mastodon\.social",
    "Bluesky": r"bsky\.app",
    "Hacker News": r"news\.ycombinator\.com",
    "GitHub": r"github\.com",
    "Wikipedia": r"wikipedia\.org",
}
"""Name of a source → the pattern of its hosts, and of its apps' ids in Google's and Apple's stores.

The subdomains of a host belong to it.
"""

_SOURCE = re.compile(
    "|".join(rf"(?:^|.*\.)(?P<s{number}>{hosts})$" for number, hosts in enumerate(HOSTS.values()))
)
_APP = re.compile(r"(?:android|ios)-app://([\w.-]+)", re.IGNORECASE)
_NAMES = {f"s{number}": name for number, name in enumerate(HOSTS)}


def put_referrer(visit: Visit) -> None:
    """`$referrer_domain` and `$referrer_source`, from `$referrer`; none for the same host."""
    domain = _domain(_host(visit))
    if not domain or domain == _domain(site(visit)):
        return
    visit.put("$referrer_domain", domain)
    visit.put("$referrer_source", source(domain))


def source(domain: str) -> str:
    """The name of a source by its domain; a domain that is not in HOSTS is its own name."""
    match = _SOURCE.match(domain[:255])
    return _NAMES[match.lastgroup] if match and match.lastgroup else domain


def _host(visit: Visit) -> str:
    """The host of the web page, or the id of the app, in `$referrer`; "" for anything else."""
    referrer = visit.text("$referrer")
    if app := _APP.match(referrer):
        return canonical(visit, app[1])
    parts = split(referrer)
    return host(visit, parts) if parts else ""


def _domain(host: str) -> str:
    return host.removeprefix("www.")
