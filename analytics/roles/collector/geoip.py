"""Addresses → countries, by the operator's file in MaxMind's format."""

from collections.abc import Callable
from pathlib import Path

import maxminddb

from analytics.errors import ConfigurationError


def open_countries(path: Path) -> Callable[[str], str | None]:
    """A look-up in memory, for as long as the process lives. Raises ConfigurationError when the
    file cannot be read.
    """
    try:
        reader = maxminddb.open_database(path, maxminddb.MODE_AUTO)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ConfigurationError(
            f"GEOIP_FILE cannot be read: {error}", field="GEOIP_FILE"
        ) from error

    def country(address: str) -> str | None:
        try:
            record = reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            return None
        for name in ("country", "registered_country"):
            found = record.get(name) if isinstance(record, dict) else None
            if isinstance(found, dict) and isinstance(code := found.get("iso_code"), str):
                return code
        return None

    return country
