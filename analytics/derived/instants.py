"""How derived data measures time: whole hours since 1970 for rollups, microseconds for packed rows."""

from datetime import UTC, datetime

HOUR_SPAN, DAY_SPAN = 1, 24
"""Hours that a row of rollups covers."""

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

SILENCE_US = 30 * 60_000_000
"""A derived session ends after a gap longer than this; a gap of exactly this long does not end it.
"""

POSTGRES_EPOCH_US = 946_684_800_000_000
"""From 1970 to 2000, where PostgreSQL's timestamps begin."""

BEGINNING = -1_000_000_000
"""An hour before every event: rollups that are complete from here on cover all of history."""


def instant(hour: int) -> datetime:
    """When an hour since 1970 begins. Raises ValueError outside the years 1 to 9999."""
    return datetime.fromtimestamp(hour * 3600, UTC)


def day_of(moment: datetime) -> int:
    """The first hour, since 1970, of the UTC day that a moment is in."""
    return int(moment.timestamp() // 86_400) * 24
