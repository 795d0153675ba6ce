"""Tasks end, even those that lose a cancellation, and a command's work by Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from analytics import tasks
from tests.waiting import PATIENCE_SECONDS


async def test_a_task_that_loses_its_first_cancellation_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "REPEAT_SECONDS", 0.001)
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    running = [asyncio.create_task(deaf()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await tasks.end(running)
    assert all(task.done() for task in running)
    assert lost == 3


async def test_nothing_to_end_is_no_error() -> None:
    await tasks.end([])


@pytest.fixture
def listening() -> Iterator[None]:
    """Ctrl-C as it is at a terminal; pytest's own handler comes back afterwards."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_work_is_run_to_its_end(listening: None) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert tasks.run(work()) == "done"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_just_before_a_time_out_is_not_lost(listening: None) -> None:
    async def work() -> str:
        press_ctrl_c()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        await asyncio.sleep(0)
        return "went on"

    with pytest.raises(KeyboardInterrupt):
        tasks.run(work())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_when_a_time_out_is_no_longer_needed_is_not_lost(
    listening: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "REPEAT_SECONDS", 0.001)

    async def last_step() -> None:
        press_ctrl_c()

    async def work() -> None:
        await asyncio.wait_for(last_step(), PATIENCE_SECONDS)
        await asyncio.sleep(PATIENCE_SECONDS)

    with pytest.raises(KeyboardInterrupt):
        tasks.run(work())


def test_ctrl_c_in_the_last_step_leaves_its_result(listening: None) -> None:
    async def work() -> str:
        press_ctrl_c()
        return "done"

    assert tasks.run(work()) == "done"


def test_work_cleans_up_when_it_is_interrupted(listening: None) -> None:
    steps = []

    async def work() -> None:
        try:
            press_ctrl_c()
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        tasks.run(work())
    assert steps == ["cleaned up"]


def test_a_second_ctrl_c_ends_a_step_that_does_not_return(listening: None) -> None:
    steps = []

    async def work() -> None:
        press_ctrl_c()
        steps.append("heard the first")
        press_ctrl_c()
        steps.append("went on")

    with pytest.raises(KeyboardInterrupt):
        tasks.run(work())
    assert steps == ["heard the first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_is_ignored_stays_ignored(listening: None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work() -> str:
        press_ctrl_c()
        await asyncio.sleep(0)
        return "done"

    assert tasks.run(work()) == "done"


def test_work_in_another_thread_listens_to_no_signal(listening: None) -> None:
    answers = []

    async def work() -> None:
        answers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=lambda: tasks.run(work()))
    thread.start()
    thread.join()
    assert answers == [signal.default_int_handler]


def test_a_signal_that_our_parent_has_us_ignore_is_not_heard(listening: None) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # our own parent may be `nohup`
    try:
        assert tasks.heard() == (signal.SIGINT, signal.SIGTERM)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert signal.SIGHUP in tasks.heard()
    finally:
        signal.signal(signal.SIGHUP, before)
