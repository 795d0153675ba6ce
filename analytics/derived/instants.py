"""The units of time: whole hours since 1970 for rollups, microseconds for packed days.

What keeps derived data imports these names for the length of an hour or a day.
"""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
"""The finest step of time that PostgreSQL and Python keep."""

HOUR_SPAN, DAY_SPAN = 1, 24
"""The two values of the column `span` in `rollups`: how many hours a row covers."""

HOUR_SECONDS = 3600
DAY_SECONDS = DAY_SPAN * HOUR_SECONDS

SECOND_US = 1_000_000
HOUR_US = HOUR_SECONDS * SECOND_US
DAY_US = DAY_SECONDS * SECOND_US

SILENCE_US = 30 * 60 * SECOND_US
"""A derived session ends after a gap longer than this; a gap of exactly this long does not end it.
"""

POSTGRES_EPOCH_US = 946_684_800_000_000
"""From 1970 to 2000, where PostgreSQL's timestamps begin."""

BEGINNING = -1_000_000_000
"""An hour before every event: rollups complete from this hour on cover all of history."""


def instant(hour: int) -> datetime:
    """When an hour since 1970 begins. Raises ValueError outside the years 1 to 9999."""
    return datetime.fromtimestamp(hour * HOUR_SECONDS, UTC)


def hour_of(moment: datetime) -> int:
    """The hour, since 1970, that holds a moment."""
    return int(moment.timestamp() // HOUR_SECONDS)


def day_of(moment: datetime) -> int:
    """The first hour, since 1970, of the UTC day that holds a moment."""
    return int(moment.timestamp() // DAY_SECONDS) * DAY_SPAN
