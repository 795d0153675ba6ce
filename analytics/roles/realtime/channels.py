"""A subscription to a channel: events through a filter, or counters once a second.

Both watch the live bus. What several readers need of the same delivery is computed once for all.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec import Raw
from redis.asyncio import Redis
from redis.exceptions import RedisError

from analytics.errors import AnalyticsError, BadRequest
from analytics.events import public
from analytics.live import Delivery, visitors
from analytics.queries.language.filters import EventFilter, Where
from analytics.queries.language.matching import Filter, View
from analytics.queries.language.work import TooCostly, Work
from analytics.roles.realtime.messages import CountersMessage
from analytics.roles.realtime.outbox import Outbox
from analytics.roles.realtime.requests import SubscribeRequest

T = TypeVar("T")

MAX_TYPES = 50
"""Event types that a counters message names; all others are `other`."""

TICK_SECONDS = 1.0
VISITORS_SECONDS = 0.5
"""How long Redis may take to count visitors."""

_filters: WeakValueDictionary[tuple[str, tuple[str, ...]], Filter] = WeakValueDictionary()


def filter_of(event: str, where: tuple[str, ...]) -> Filter:
    """A filter, one for all who ask for the same.

    Raises BadRequest that names the parameter at fault.
    """
    if (known := _filters.get((event, where))) is not None:
        return known
    field = "event"
    try:
        events = EventFilter.read(event)
        field = "where"
        made = _filters[event, where] = Filter(events, [Where.read(text) for text in where])
        return made
    except ValueError as error:
        raise BadRequest(f"{field}: {error}", code="bad_parameter", field=field) from error


class Budget:
    """The work that all filters of one reader may do, refilled once for each delivery."""

    def __init__(self) -> None:
        self._work = Work()

    def of(self, delivery: Delivery) -> Work:
        """What may be done for a delivery."""
        _once(delivery, self, lambda: self._work.refill(len(delivery.events)))
        return self._work


class EventSubscription:
    """A subscription to events: puts those that pass its filter into the reader's outbox.

    Raises BadRequest for a filter that cannot be read.
    """

    def __init__(
        self,
        request: SubscribeRequest,
        outbox: Outbox,
        budget: Budget,
        fail: Callable[[str, AnalyticsError], None],
    ) -> None:
        """`fail` ends the subscription of this id with an error."""
        self.id = request.id
        self.filter = filter_of("*" if request.event is None else request.event, request.where)
        self.ended = False
        self._outbox = outbox
        self._budget = budget
        self._fail = fail

    async def stored(self, delivery: Delivery) -> None:
        """These events were stored. Never raises."""
        try:
            matches = await _matches(delivery, self.filter, self._budget.of(delivery))
        except TooCostly as error:
            message = f"{error}; this subscription has ended"
            if not self.ended:
                self._fail(self.id, BadRequest(message, code="too_costly", field="where"))
            return
        if self.ended:  # by its reader, while the matches were looked for
            return
        for index in matches:
            self._outbox.offer(self.id, _json(delivery, index), delivery.before + index + 1)
        self._outbox.advance(delivery.before + len(delivery.events))

    def missed(self, number: int, before: int) -> None:
        """The bus lost so many events; `before` counts them and all earlier ones."""
        self._outbox.miss(self.id, number, before)


async def _matches(delivery: Delivery, passes: Filter, work: Work) -> list[int]:
    """Indexes of the events that pass, found once for all who use the filter. Raises TooCostly."""
    if passes not in delivery.cache:
        views = _once(delivery, "views", lambda: [View(event) for event in delivery.events])
        matches = []
        for index, view in enumerate(views):
            if passes(view, work):
                matches.append(index)
            await delivery.pause()
        delivery.cache[passes] = matches
    found: list[int] = delivery.cache[passes]
    return found


def _json(delivery: Delivery, index: int) -> Raw:
    """One event as JSON, encoded once for all who get it."""
    return _once(delivery, index, lambda: Raw(msgspec.json.encode(public(delivery.events[index]))))


def _once(delivery: Delivery, name: object, compute: Callable[[], T]) -> T:
    """What `compute` returns, kept with the delivery under a name."""
    if name not in delivery.cache:
        delivery.cache[name] = compute()
    value: T = delivery.cache[name]
    return value


class Visitors:
    """How many actors each project has now; Redis is asked at most once a second a project."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._counts: dict[str, tuple[float, asyncio.Task[int | None]]] = {}

    async def of(self, project: str) -> int | None:
        """The number of `analytics.live.visitors`; None while Redis does not answer."""
        now = asyncio.get_running_loop().time()
        if project not in self._counts or self._counts[project][0] <= now:
            self._counts = {name: count for name, count in self._counts.items() if count[0] > now}
            task = asyncio.create_task(self._count(project))
            self._counts[project] = (now + TICK_SECONDS * 0.9, task)
        return await asyncio.shield(self._counts[project][1])

    async def _count(self, project: str) -> int | None:
        try:
            async with asyncio.timeout(VISITORS_SECONDS):
                return await visitors(self._redis, project)
        except (RedisError, OSError, TimeoutError):
            return None


class CounterSubscription:
    """A subscription to counters: what was stored since the last message, a second ago."""

    def __init__(self, id_: str, project: str, outbox: Outbox, visitors: Visitors) -> None:
        self.id = id_
        self._project = project
        self._outbox = outbox
        self._visitors = visitors
        self._types: Counter[str] = Counter()

    async def stored(self, delivery: Delivery) -> None:
        """These events were stored."""
        types = _once(
            delivery, "types", lambda: Counter(event.event_type for event in delivery.events)
        )
        self._types.update(types)

    def missed(self, number: int, before: int) -> None:
        """The bus lost so many events; `before` counts them and all earlier ones."""
        self._outbox.miss(self.id, number, before)

    async def run(self) -> None:
        """Put a message every second, for ever; none while the outbox is full."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            due = max(due + TICK_SECONDS, clock())
            await asyncio.sleep(due - clock())
            types, self._types = self._types, Counter()
            if not self._outbox.full:
                visiting = await self._visitors.of(self._project)
                message = CountersMessage(self.id, types.total(), _top(types), visiting)
                self._outbox.put(message)


def _top(types: Counter[str]) -> dict[str, int]:
    """The MAX_TYPES most common types, and the rest together as `other`."""
    by_type = dict(types.most_common(MAX_TYPES))
    if rest := types.total() - sum(by_type.values()):
        by_type["other"] = by_type.get("other", 0) + rest
    return by_type
