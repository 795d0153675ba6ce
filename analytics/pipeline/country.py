"""The visitor's country, and nothing finer."""

import re

from analytics.pipeline.visit import Visit

UNKNOWN = ("XX", "T1", "ZZ")
"""What CDNs send for unknown countries, and for Tor."""

_CODE = re.compile(r"[A-Z]{2}")


def put_country(visit: Visit) -> None:
    """`$country`, two capitals: from the header `COUNTRY_HEADER`, else from `GEOIP_FILE`."""
    if "$country" in visit:
        return
    context, rules = visit.context, visit.context.rules
    code = ""
    if context.browser and rules.country_header:
        header = context.headers.get(rules.country_header, b"")
        code = header.decode("latin-1").strip().upper()
    if not _is_country(code) and rules.country and (address := visit.address):
        code = rules.country(address) or ""
    visit.put("$country", code if _is_country(code) else None)


def _is_country(text: str) -> bool:
    return _CODE.fullmatch(text) is not None and text not in UNKNOWN
