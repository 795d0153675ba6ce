"""What readers of realtime subscribe to: a project's events through a filter, or its counters once
a second.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta
from redis.asyncio import Redis
from redis.exceptions import RedisError

from analytics.errors import AnalyticsError, BadRequest, NotFound
from analytics.events import public
from analytics.live import Bus, Delivery, visitors
from analytics.projects import Key, authorize, is_project
from analytics.queries.language.automata import TooCostly
from analytics.queries.language.filters import Events, Where
from analytics.queries.language.matching import Test, View, matcher
from analytics.roles.realtime.outbox import Message, Outbox

T = TypeVar("T")

MAX_SUBSCRIPTIONS = 20
MAX_TYPES = 50
TICK_SECONDS = 1.0
VISITORS_SECONDS = 0.5
FILTERS_KEPT = 256

Text = Annotated[str, Meta(min_length=1, max_length=2000)]


class Wanted(
    msgspec.Struct, frozen=True, tag="subscribe", tag_field="type", forbid_unknown_fields=True
):
    """A subscription as it is asked for."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    channel: Literal["events", "counters"]
    project: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    event: Text | None = None
    where: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()


def encode(value: Any) -> str:
    """JSON text of whatever msgspec can encode."""
    return msgspec.json.encode(value).decode()


def failure(error: AnalyticsError, id_: str | None = None) -> Message:
    """An error as a message."""
    return Message("error", id_, f'"code":{encode(error.code)},"message":{encode(error.message)}')


@lru_cache(FILTERS_KEPT)
def compiled(event: str, where: tuple[str, ...]) -> Test:
    """The test of a filter, one for all who ask for the same. Raises BadRequest that names the
    parameter at fault.
    """
    field = "event"
    try:
        events = Events.read(event)
        field = "where"
        return matcher(events, [Where.read(text) for text in where])
    except ValueError as error:
        raise BadRequest(f"{field}: {error}", code="bad_parameter", field=field) from error


class EventStream:
    """One subscription to events: a watcher of the bus that puts into a reader's outbox what passes
    its filter.
    """

    def __init__(
        self, wanted: Wanted, outbox: Outbox, fail: Callable[[str, AnalyticsError], None]
    ) -> None:
        self.id = wanted.id
        self._outbox = outbox
        self._fail = fail
        self._test = compiled("*" if wanted.event is None else wanted.event, wanted.where)

    def stored(self, delivery: Delivery) -> None:
        try:
            for place in _passing(delivery, self._test):
                self._outbox.offer(self.id, _shown(delivery, place), delivery.before + place + 1)
            self._outbox.see(delivery.before + len(delivery.events))
        except TooCostly as error:
            self._fail(
                self.id,
                BadRequest(
                    f"{error}; this subscription has ended", code="too_costly", field="where"
                ),
            )

    def missed(self, number: int, before: int) -> None:
        self._outbox.miss(self.id, number, before)


def _passing(delivery: Delivery, test: Test) -> list[int]:
    """Places of the events that pass, found once for all subscriptions with the same filter. Raises
    TooCostly.
    """
    if test not in delivery.cache:
        views = _made(delivery, "views", lambda: [View(event) for event in delivery.events])
        delivery.cache[test] = [place for place, view in enumerate(views) if test(view)]
    places: list[int] = delivery.cache[test]
    return places


def _shown(delivery: Delivery, place: int) -> str:
    """One event as JSON, written once for all who get it."""
    return _made(delivery, place, lambda: f'"event":{encode(public(delivery.events[place]))}')


def _made(delivery: Delivery, name: object, make: Callable[[], T]) -> T:
    if name not in delivery.cache:
        delivery.cache[name] = make()
    made: T = delivery.cache[name]
    return made


class Visitors:
    """How many actors each project has now, asked for at most once a second however many watch."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._asked: dict[str, tuple[float, asyncio.Task[int | None]]] = {}

    async def of(self, project: str) -> int | None:
        """The number of `analytics.live.visitors`; None while Redis does not answer."""
        now = asyncio.get_running_loop().time()
        if project not in self._asked or self._asked[project][0] <= now:
            self._asked = {name: asked for name, asked in self._asked.items() if asked[0] > now}
            self._asked[project] = (
                now + TICK_SECONDS * 0.9,
                asyncio.create_task(self._ask(project)),
            )
        return await asyncio.shield(self._asked[project][1])

    async def _ask(self, project: str) -> int | None:
        try:
            return await asyncio.wait_for(visitors(self._redis, project), VISITORS_SECONDS)
        except (RedisError, OSError, TimeoutError):
            return None


class CounterStream:
    """One subscription to counters: what was stored since the last message, a second ago."""

    def __init__(self, id_: str, project: str, outbox: Outbox, visitors: Visitors) -> None:
        self.id = id_
        self._project = project
        self._outbox = outbox
        self._visitors = visitors
        self._types: Counter[str] = Counter()

    def stored(self, delivery: Delivery) -> None:
        self._types.update(
            _made(delivery, "types", lambda: Counter(event.event_type for event in delivery.events))
        )

    def missed(self, number: int, before: int) -> None:
        self._outbox.miss(self.id, number, before)

    async def run(self) -> None:
        """Put a message every second, for ever; a reader whose outbox is full goes without."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            due = max(due + TICK_SECONDS, clock())
            await asyncio.sleep(due - clock())
            types, self._types = self._types, Counter()
            if not self._outbox.full:
                by_type = dict(types.most_common(MAX_TYPES))
                if rest := types.total() - sum(by_type.values()):
                    by_type["other"] = by_type.get("other", 0) + rest
                visiting = await self._visitors.of(self._project)
                fields = f'"events_per_second":{types.total()},"by_type":{encode(by_type)},"visitors":{encode(visiting)}'
                self._outbox.put(Message("counters", self.id, fields))


class Hub:
    """What all readers of this process share."""

    def __init__(self, redis: Redis, bus: Bus) -> None:
        self.bus = bus
        self.visitors = Visitors(redis)


class Subscriptions:
    """Those of one reader, under the ids that it gave them."""

    def __init__(self, hub: Hub, outbox: Outbox) -> None:
        self._hub = hub
        self._outbox = outbox
        self._ends: dict[str, ExitStack] = {}

    async def add(self, wanted: Wanted, key: Key) -> int:
        """Subscribe, and say so; returns how many events the project has had. Raises BadRequest,
        Forbidden, or Unavailable while the bus is away.
        """
        if wanted.id in self._ends:
            raise BadRequest(
                "this id is taken by another subscription of this connection",
                code="duplicate_id",
                field="id",
            )
        if len(self._ends) >= MAX_SUBSCRIPTIONS:
            raise BadRequest(
                f"a connection may have {MAX_SUBSCRIPTIONS} subscriptions",
                code="too_many_subscriptions",
            )
        project = authorize(key, "realtime", wanted.project)
        if not is_project(project):
            raise BadRequest(
                "this is not a valid project name", code="bad_parameter", field="project"
            )
        stream = self._stream(wanted, project)
        position = await self._hub.bus.watch(project, stream)
        end = self._ends[wanted.id] = ExitStack()
        end.callback(self._hub.bus.unwatch, project, stream)
        if isinstance(stream, CounterStream):
            end.callback(asyncio.create_task(stream.run()).cancel)
        self._outbox.put(Message("subscribed", wanted.id, position=position))
        return position

    def _stream(self, wanted: Wanted, project: str) -> EventStream | CounterStream:
        if wanted.channel == "events":
            return EventStream(wanted, self._outbox, self._fail)
        if wanted.event is not None or wanted.where:
            raise BadRequest(
                "counters count all events: they take neither event nor where",
                code="bad_parameter",
                field="where" if wanted.where else "event",
            )
        return CounterStream(wanted.id, project, self._outbox, self._hub.visitors)

    def remove(self, id_: str) -> None:
        """End one. Raises NotFound."""
        end = self._ends.pop(id_, None)
        if end is None:
            raise NotFound(
                "this connection has no subscription with this id", code="unknown_id", field="id"
            )
        end.close()
        self._outbox.forget(id_)

    def clear(self) -> None:
        """End all."""
        for end in self._ends.values():
            end.close()
        self._ends.clear()

    def _fail(self, id_: str, error: AnalyticsError) -> None:
        self.remove(id_)
        self._outbox.put(failure(error, id_))
