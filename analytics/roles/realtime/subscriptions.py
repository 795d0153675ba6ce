"""All subscriptions of one reader."""

import asyncio
from contextlib import ExitStack

from redis.asyncio import Redis

from analytics.errors import AnalyticsError, BadRequest, NotFound
from analytics.live import Bus
from analytics.projects import ApiKey, authorize, is_project
from analytics.redis import RedisProjects
from analytics.roles.realtime.channels import (
    Budget,
    CounterSubscription,
    EventSubscription,
    Visitors,
)
from analytics.roles.realtime.messages import SubscribedMessage, failure
from analytics.roles.realtime.outbox import Outbox
from analytics.roles.realtime.requests import SubscribeRequest

MAX_SUBSCRIPTIONS = 20

MAX_FILTER_BYTES = 1 << 20
"""What the filters of all subscriptions of one reader may take in memory."""


class Hub:
    """What all readers of this process share."""

    def __init__(self, redis: Redis, bus: Bus) -> None:
        self.bus = bus
        self.visitors = Visitors(redis)
        self.projects = RedisProjects(redis)


class Subscriptions:
    """The subscriptions of one reader, under the ids that it gave them."""

    def __init__(self, hub: Hub, outbox: Outbox) -> None:
        self._hub = hub
        self._outbox = outbox
        self._budget = Budget()
        self._filter_bytes = 0
        self._ends: dict[str, ExitStack] = {}

    async def add(self, request: SubscribeRequest, key: ApiKey) -> int:
        """Subscribe and confirm it; returns how many events the project has had.

        Raises BadRequest, Forbidden, NotFound, or Unavailable while the live bus is away.
        """
        if request.id in self._ends:
            message = "this id is taken by another subscription of this connection"
            raise BadRequest(message, code="duplicate_id", field="id")
        if len(self._ends) >= MAX_SUBSCRIPTIONS:
            message = f"a connection may have {MAX_SUBSCRIPTIONS} subscriptions"
            raise BadRequest(message, code="too_many_subscriptions")
        project = authorize(key, "realtime", request.project)
        if not is_project(project):
            message = "this is not a valid project name"
            raise BadRequest(message, code="bad_parameter", field="project")
        if key.project is None:
            await self._hub.projects.require(project)
        subscription = self._subscription(request, project)
        with ExitStack() as undo:
            if isinstance(subscription, EventSubscription):
                self._keep(subscription, undo)
            position = await self._hub.bus.watch(project, subscription)
            undo.callback(self._hub.bus.unwatch, project, subscription)
            if isinstance(subscription, CounterSubscription):
                undo.callback(asyncio.create_task(subscription.run()).cancel)
            self._ends[request.id] = undo.pop_all()
        self._outbox.put(SubscribedMessage(request.id), position)
        return position

    def _subscription(
        self, request: SubscribeRequest, project: str
    ) -> EventSubscription | CounterSubscription:
        if request.channel == "events":
            return EventSubscription(request, self._outbox, self._budget, self._fail)
        if request.event is not None or request.where:
            raise BadRequest(
                "counters count all events: they take neither event nor where",
                code="bad_parameter",
                field="where" if request.where else "event",
            )
        return CounterSubscription(request.id, project, self._outbox, self._hub.visitors)

    def _keep(self, subscription: EventSubscription, end: ExitStack) -> None:
        """Count a filter until the end of its subscription. Raises BadRequest for too much."""
        size_bytes = subscription.filter.size_bytes
        if self._filter_bytes + size_bytes > MAX_FILTER_BYTES:
            message = f"the filters of a connection may take {MAX_FILTER_BYTES} bytes"
            raise BadRequest(message, code="too_costly", field="where")
        self._filter_bytes += size_bytes
        end.callback(self._forget, subscription)

    def _forget(self, subscription: EventSubscription) -> None:
        self._filter_bytes -= subscription.filter.size_bytes
        subscription.ended = True

    def remove(self, id_: str) -> None:
        """End one subscription. Raises NotFound."""
        end = self._ends.pop(id_, None)
        if end is None:
            message = "this connection has no subscription with this id"
            raise NotFound(message, code="unknown_id", field="id")
        end.close()
        self._outbox.forget(id_)

    def clear(self) -> None:
        """End all subscriptions."""
        for end in self._ends.values():
            end.close()
        self._ends.clear()

    def _fail(self, id_: str, error: AnalyticsError) -> None:
        self.remove(id_)
        self._outbox.put(failure(error, id_))
