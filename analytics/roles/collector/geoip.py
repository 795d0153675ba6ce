"""From IP addresses to countries, by the operator's file in MaxMind's format."""

from collections.abc import Callable
from pathlib import Path

import maxminddb

from analytics.errors import ConfigurationError


def open_countries(path: Path) -> Callable[[str], str | None]:
    """A lookup from address to ISO country code, in memory until the process ends.

    Raises ConfigurationError when the file cannot be read.
    """
    try:
        reader = maxminddb.open_database(path, maxminddb.MODE_AUTO)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        message = f"GEOIP_FILE cannot be read: {error}"
        raise ConfigurationError(message, field="GEOIP_FILE") from error

    def country_of(address: str) -> str | None:
        try:
            record = reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            return None
        for name in ("country", "registered_country"):
            country = record.get(name) if isinstance(record, dict) else None
            if isinstance(country, dict) and isinstance(code := country.get("iso_code"), str):
                return code
        return None

    return country_of
