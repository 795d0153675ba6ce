"""The time of an event: the client's clock corrected by `sent_at`, and held within the bounds of
what is kept.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from analytics.protocols.protocol import Fault

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAWN = datetime(2000, 1, 1, tzinfo=UTC)
"""Where history begins when RETENTION_DAYS=0 keeps everything: no event is older than this."""

TOLERANCE = timedelta(minutes=1)
"""A client's clock this near to ours is taken as right."""

AHEAD = timedelta(hours=24)
MAX_DAYS = 700_000

_Aware = Annotated[datetime, msgspec.Meta(tz=True)]
_convert: Callable[[Any, Any], datetime] = msgspec.convert

Timestamp = _Aware | int | float
"""RFC 3339 with an offset, or milliseconds since 1970."""


def timestamp(value: Any, field: str = "timestamp") -> Timestamp:
    """A JSON value, as `metadata.parse` read it, or what already is a Timestamp, as one. Raises
    Fault.
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


def _bad(field: str) -> Fault:
    return Fault(
        "bad_timestamp",
        field,
        f"{field} must be RFC 3339 with an offset, or whole milliseconds since 1970",
    )


def instant(value: Timestamp, field: str = "timestamp") -> datetime:
    """The moment in UTC. Raises Fault for half milliseconds, OverflowError for what no calendar
    holds.
    """
    if isinstance(value, datetime):
        return value if value.tzinfo is UTC else value.astimezone(UTC)
    if type(value) is float and not value.is_integer():
        raise _bad(field)
    return EPOCH + timedelta(milliseconds=value)


class Clock:
    """How one request's times are read."""

    def __init__(
        self, received: datetime, retention_days: int, sent_at: Timestamp | None = None
    ) -> None:
        """Raises Fault when `sent_at` is no moment at all."""
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
        """When the event happened, in UTC: as the client says, corrected; when it says nothing,
        when it was received.

        Raises Fault: `bad_timestamp`, or, outside the bounds, `too_old` or `in_the_future`. Nothing
        is ever clamped.
        """
        if value is None:
            return self.received
        if (
            self.skew is None
            and isinstance(value, datetime)
            and value.tzinfo is UTC
            and self.earliest <= value <= self.latest
        ):
            return value  # what nearly all are
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

    def _early(self) -> Fault:
        return Fault(
            "too_old",
            "timestamp",
            f"timestamp is before {self.earliest:%Y-%m-%d}, the oldest day that is kept",
        )

    def _late(self) -> Fault:
        return Fault("in_the_future", "timestamp", "timestamp is more than 24 hours ahead")


def _after(value: Timestamp) -> bool:
    """Whether a time that overflowed did so at the far end."""
    return value.year > DAWN.year if isinstance(value, datetime) else value > 0
