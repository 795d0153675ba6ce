"""When an event happened: the client's time, corrected by `sent_at` and checked for bounds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from analytics.protocols.protocol import EventError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAWN = datetime(2000, 1, 1, tzinfo=UTC)
"""The oldest event's time if RETENTION_DAYS=0 (keep everything)."""

TOLERANCE = timedelta(minutes=1)
"""A client's clock that differs less from ours is not corrected."""

AHEAD = timedelta(hours=24)
"""How far ahead of our clock an event may be."""

MAX_DAYS = 700_000
"""The largest retention to subtract from a date: 1,900 years."""

_Aware = Annotated[datetime, msgspec.Meta(tz=True)]
_convert: Callable[[Any, Any], datetime] = msgspec.convert

Timestamp = _Aware | int | float
"""RFC 3339 with an offset, or milliseconds since 1970."""


def timestamp(value: Any, field: str = "timestamp") -> Timestamp:
    """A JSON value that `metadata.parse` read, as a Timestamp. Raises EventError.

    A value that is a Timestamp already comes back as it is.
    """
    if type(value) is int or isinstance(value, datetime):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if not isinstance(value, str):
        raise _bad(field)
    try:
        return _convert(value, _Aware)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise _bad(field) from error


def _bad(field: str) -> EventError:
    return EventError(
        "bad_timestamp",
        field,
        f"{field} must be RFC 3339 with an offset, or whole milliseconds since 1970",
    )


def instant(value: Timestamp, field: str = "timestamp") -> datetime:
    """The moment in UTC.

    Raises EventError for a fraction of a millisecond, OverflowError beyond the years 1 to 9999.
    """
    if isinstance(value, datetime):
        return value if value.tzinfo is UTC else value.astimezone(UTC)
    if type(value) is float and not value.is_integer():
        raise _bad(field)
    return EPOCH + timedelta(milliseconds=value)


class Clock:
    """Reads the times of one request."""

    def __init__(
        self, received: datetime, retention_days: int, sent_at: Timestamp | None = None
    ) -> None:
        """Raises EventError when `sent_at` is not a moment."""
        self.received = received
        self.earliest = (
            received - timedelta(days=min(retention_days, MAX_DAYS)) if retention_days else DAWN
        )
        self.latest = received + AHEAD
        self.skew: timedelta | None = None
        if sent_at is not None:
            try:
                skew = received - instant(sent_at, "sent_at")
            except OverflowError as error:
                raise _bad("sent_at") from error
            if abs(skew) > TOLERANCE:
                self.skew = skew

    def moment(self, value: Timestamp | None) -> datetime:
        """When the event happened, in UTC, by the client's corrected clock.

        Without a value it is the time of receipt. Raises EventError: `bad_timestamp`, `too_old` or
        `in_the_future`. A time is never clamped.
        """
        if value is None:
            return self.received
        if (
            self.skew is None
            and isinstance(value, datetime)
            and value.tzinfo is UTC
            and self.earliest <= value <= self.latest
        ):
            return value  # the usual case, first because it is fast
        try:
            moment = instant(value)
            if self.skew is not None:
                moment += self.skew
        except OverflowError as error:
            raise self._late() if _after(value) else self._early() from error
        if moment < self.earliest:
            raise self._early()
        if moment > self.latest:
            raise self._late()
        return moment

    def _early(self) -> EventError:
        return EventError(
            "too_old",
            "timestamp",
            f"timestamp is before {self.earliest:%Y-%m-%d}, the oldest day that is kept",
        )

    def _late(self) -> EventError:
        return EventError("in_the_future", "timestamp", "timestamp is more than 24 hours ahead")


def _after(value: Timestamp) -> bool:
    """Whether a time that overflowed is too late, not too early."""
    return value.year > DAWN.year if isinstance(value, datetime) else value > 0
