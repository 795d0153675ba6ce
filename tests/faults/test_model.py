"""Whatever is sent, repeated, killed, restarted, frozen and drained, in any order: the books agree
with a dict after every step.
"""

import signal
import time
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.faults.figures import FULL, often
from tests.faults.load import check_books, event, post
from tests.faults.platform import Platform, Role
from tests.waiting import wait_for

ROLES = ("collector", "processor")


class Machine(RuleBasedStateMachine):
    """One platform for all examples; each begins where the last one ended, drained. The model is a
    dict: id → how often it was acknowledged.
    """

    platform: Platform
    roles: dict[str, Role]
    known: dict[str, int]
    acknowledged: int
    """Events that were answered 202, repeats included, since the platform began."""
    perhaps: int
    """Events whose answer got lost with a connection: they may have been taken."""

    @initialize()
    def begin(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.frozen = False
        self.redis_up = True

    def deliver(self, events: list[dict[str, Any]]) -> None:
        cls = type(self)
        status, _ = post(self.roles["collector"].port, msgspec.json.encode(events))
        if status == 202:
            cls.acknowledged += len(events)
            for one in events:
                cls.known[one["id"]] = cls.known.get(one["id"], 0) + 1
        elif self.roles["collector"].process is not None and self.redis_up:
            cls.perhaps += len(events)

    @rule(numbers=st.lists(st.integers(0, 999), min_size=1, max_size=20))
    def send(self, numbers: list[int]) -> None:
        events = [event(number) for number in numbers]
        self.sent += events
        self.deliver(events)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def duplicate(self, data: st.DataObject) -> None:
        again = data.draw(st.lists(st.sampled_from(self.sent), min_size=1, max_size=10))
        self.deliver(
            [{key: value for key, value in one.items() if key != "timestamp"} for one in again]
        )

    @rule(name=st.sampled_from(ROLES))
    def kill(self, name: str) -> None:
        role = self.roles[name]
        if role.process is not None:
            role.kill()
            self.frozen = self.frozen and name != "processor"

    @precondition(lambda self: self.redis_up)
    @rule(name=st.sampled_from(ROLES))
    def start(self, name: str) -> None:
        if self.roles[name].process is None:
            self.roles[name].start()

    @precondition(lambda self: self.redis_up)
    @rule()
    def kill_redis(self) -> None:
        self.platform.kill(self.platform.valkey)
        self.redis_up = False

    @precondition(lambda self: not self.redis_up)
    @rule()
    def start_redis(self) -> None:
        self.platform.valkey.start()
        self.redis_up = True

    @rule()
    def restart_postgres(self) -> None:
        self.platform.restart(self.platform.postgres)

    @rule()
    def pause(self) -> None:
        processor = self.roles["processor"].process
        if processor is not None and not self.frozen:
            processor.send_signal(signal.SIGSTOP)
            self.frozen = True

    @rule()
    def resume(self) -> None:
        processor = self.roles["processor"].process
        if processor is not None and self.frozen:
            processor.send_signal(signal.SIGCONT)
            self.frozen = False

    @rule()
    def drain(self) -> None:
        if not self.redis_up:
            self.start_redis()
        self.resume()
        for role in self.roles.values():
            if role.process is None:
                role.start()
        began = time.monotonic()
        wait_for(self.platform.drained, "the queue to drain", 180)
        self.platform.figures.recovered(time.monotonic() - began)
        stored = self.platform.sql("select id from raw_events").split()
        assert len(stored) == len(set(stored)), "an event is stored twice"
        lost = set(self.known) - set(stored)
        assert not lost, f"{len(lost)} acknowledged events are lost"
        check_books(self.platform)

    @invariant()
    def the_books_agree_with_the_model(self) -> None:
        if not self.redis_up:
            return
        books = self.platform.books()
        assert (
            books["accepted"]
            == books["stored"] + books["duplicate"] + books["dead_lettered"] + books["queued"]
        ), books
        assert self.acknowledged <= books["accepted"] <= self.acknowledged + self.perhaps, (
            books,
            self.acknowledged,
            self.perhaps,
        )
        assert books["stored"] + books["queued"] >= len(self.known), books
        assert books["dead_lettered"] == 0, books

    def teardown(self) -> None:
        self.drain()


def test_the_books_agree_with_a_dict_after_every_step_whatever_happens(platform: Platform) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    class OnePlatform(Machine):
        known: dict[str, int] = {}  # noqa: RUF012 - one for the class, as the platform is
        acknowledged = 0
        perhaps = 0

    OnePlatform.platform = platform
    OnePlatform.roles = {name: platform.role(name) for name in ROLES}
    bounds = settings(
        max_examples=often(25, 3),
        stateful_step_count=often(20, 10),
        derandomize=not FULL,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OnePlatform, settings=bounds)
    platform.figures.acknowledged = len(OnePlatform.known)
