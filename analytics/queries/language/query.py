"""What queries have in common: the project, the range, the filters.

The struct of a question's parameters extends one of these.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from analytics.errors import BadRequest
from analytics.queries.language import intervals, times
from analytics.queries.language.filters import ANY_EVENT, Condition, EventFilter, Where
from analytics.queries.language.intervals import DAY, MAX_BUCKETS, Interval, edges_before
from analytics.queries.language.times import LAST_30_DAYS, Last
from analytics.tables import raw_events
from analytics.zones import UTC_ZONE

Limit = Annotated[int, Meta(ge=1, le=1000)]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Any query: it is about one project."""

    project: Annotated[
        str, Meta(max_length=64, description="Default: the project of the key, else `default`")
    ]

    @classmethod
    def complete(cls, values: dict[str, Any], now: datetime, project: str) -> None:
        """Set defaults that depend on other parameters, on the time or on the key's `project`.

        Raises BadRequest if parameters exclude each other.
        """
        values.setdefault("project", project)

    @property
    def filters(self) -> list[Condition]:
        """The conditions on rows, but for the range."""
        return [raw_events.c.project == self.project]

    @property
    def patterns(self) -> list[str]:
        """Regular expressions that PostgreSQL should check before the query runs."""
        return []

    def reach(self, now: datetime) -> datetime:
        """The end of the answer's range, but not later than now."""
        return now

    @property
    def until(self) -> datetime | None:
        """The answer depends only on events before this instant; None: on any event."""
        return None

    def as_given(self, now: datetime) -> dict[str, Any]:
        """Every parameter, for the name of the answer: what is relative to now stays relative."""
        return self.resolved()

    @property
    def shape(self) -> tuple[Any, ...]:
        """Equal for queries that likely take equally long.

        They read the same fields of about as many rows; values and instants may differ.
        """
        return tuple(_outline(getattr(self, field.name)) for field in msgspec.structs.fields(self))

    def resolved(self) -> dict[str, Any]:
        """Every parameter as the answer repeats it, ready for JSON."""
        return {
            field.encode_name: self._shown(getattr(self, field.name))
            for field in msgspec.structs.fields(self)
        }

    def _shown(self, value: Any) -> Any:
        return self.plain(value)

    @classmethod
    def plain(cls, value: Any) -> Any:
        """A parameter's value, ready for JSON."""
        if isinstance(value, tuple):
            return [cls.plain(item) for item in value]
        if value is None or isinstance(value, str | int):
            return value
        return str(getattr(value, "text", value))


def _outline(value: Any) -> Any:
    """The part of a value that decides how long an answer takes.

    That is names of fields, operators, choices and how many values there are; not times and values.
    """
    match value:
        case tuple():
            return tuple(map(_outline, value))
        case Where():
            return value.field.text, value.operator
        case EventFilter():
            return value.everything
        case datetime() | ZoneInfo() | Last() | int():
            return None
        case _:
            return getattr(value, "text", value)


class RangeQuery(Query, frozen=True, kw_only=True):
    """A query about events with `start` ≤ timestamp < `end`."""

    start: Annotated[
        datetime,
        Meta(description="Inclusive start: an ISO date or date-time", examples=["2026-11-02"]),
    ] = msgspec.field(name="from")
    end: Annotated[
        datetime,
        Meta(
            description="Exclusive end: an ISO date or date-time; default: now",
            examples=["2026-11-06"],
        ),
    ] = msgspec.field(name="to")
    last: Last | None = None
    tz: Annotated[ZoneInfo, Meta(description="An IANA time zone", examples=["Europe/Berlin"])] = (
        UTC_ZONE
    )

    @classmethod
    def complete(cls, values: dict[str, Any], now: datetime, project: str) -> None:
        super().complete(values, now, project)
        zone = values.get("tz", UTC_ZONE)
        if "start" in values and "last" in values:
            raise BadRequest(
                "last and from exclude each other", code="conflicting_parameters", field="last"
            )
        if "start" not in values:
            last = values.setdefault("last", LAST_30_DAYS)
            values["start"] = lambda zone: last.before(now, zone)
        values.setdefault("end", lambda _: now)
        for name, attribute in (("last" if values.get("last") else "from", "start"), ("to", "end")):
            try:
                values[attribute] = values[attribute](zone)
            except (ValueError, OverflowError) as error:
                raise BadRequest(
                    f"{name}: it is outside the years 1 to 9999", code="bad_parameter", field=name
                ) from error
        if values["start"] >= values["end"]:
            name = "to" if values["end"] != now else "from"
            raise BadRequest(
                f"{name}: the range is empty, `to` must be after `from`",
                code="bad_parameter",
                field=name,
            )

    def reach(self, now: datetime) -> datetime:
        return min(self.end, now)

    @property
    def until(self) -> datetime | None:
        return self.end

    def as_given(self, now: datetime) -> dict[str, Any]:
        relative = {"from": self.last is not None, "to": self.end == now}
        return {
            name: None if relative.get(name) else value
            for name, value in super().as_given(now).items()
        }

    @property
    def shape(self) -> tuple[Any, ...]:
        return ((self.end - self.start).days.bit_length(), *super().shape)

    def rows(self, start: datetime | None = None, end: datetime | None = None) -> list[Condition]:
        """The conditions on rows: the filters, and the range or parts of another range."""
        timestamp = raw_events.c.timestamp
        return [*self.filters, timestamp >= (start or self.start), timestamp < (end or self.end)]

    def _shown(self, value: Any) -> Any:
        return times.shown(value, self.tz) if isinstance(value, datetime) else super()._shown(value)


class FilteredQuery(RangeQuery, frozen=True, kw_only=True):
    """A query about the events in the range that pass `event` and every `where`."""

    event: EventFilter = ANY_EVENT
    where: tuple[Where, ...] = ()

    @property
    def filters(self) -> list[Condition]:
        event = [] if self.event.everything else [self.event.condition]
        return [*super().filters, *event, *(where.condition for where in self.where)]

    @property
    def patterns(self) -> list[str]:
        return [where.pattern for where in self.where if where.pattern is not None]


class BucketedQuery(FilteredQuery, frozen=True, kw_only=True):
    """A query about each bucket of the range."""

    interval: Interval = DAY

    def edges(self, before: int = 0) -> list[datetime]:
        """The edges of the buckets that hold the range, and of `before` more buckets before them.

        Raises BadRequest for too many buckets, or one that begins before the year 1.
        """
        try:
            edges = intervals.edges(self.start, self.end, self.interval, self.tz)
            if len(edges) - 1 + before > MAX_BUCKETS:
                raise ValueError(
                    f"more than {MAX_BUCKETS:,} buckets, counting those before the range"
                )
            return [*edges_before(edges[0], before, self.interval, self.tz), *edges]
        except ValueError as error:
            raise BadRequest(
                f"interval: {error}", code="too_many_buckets", field="interval"
            ) from error
        except OverflowError as error:
            raise BadRequest(
                "from: a bucket would begin outside the years 1 to 9999",
                code="bad_parameter",
                field="from",
            ) from error

    def times(self, edges: Sequence[datetime]) -> list[str]:
        """The starts of the buckets with these edges, as answers show them."""
        return [times.shown(edge, self.tz) for edge in edges[:-1]]
