"""Where in the world: a country and nothing finer."""

import re

from analytics.pipeline.visit import Visit

NOWHERE = ("XX", "T1", "ZZ")
"""What CDNs say for unknown, and for Tor."""

_CODE = re.compile(r"[A-Z]{2}")


def put_country(visit: Visit) -> None:
    """`$country`, two capitals: what the header `COUNTRY_HEADER` says, else what `GEOIP_FILE` has
    for the visitor's address.
    """
    if "$country" in visit:
        return
    context, rules = visit.context, visit.context.rules
    told = (
        context.headers.get(rules.country_header, b"").decode("latin-1").strip().upper()
        if context.browser and rules.country_header
        else ""
    )
    if not _is_country(told) and rules.country and (address := visit.address):
        told = rules.country(address) or ""
    visit.put("$country", told if _is_country(told) else None)


def _is_country(text: str) -> bool:
    return _CODE.fullmatch(text) is not None and text not in NOWHERE
