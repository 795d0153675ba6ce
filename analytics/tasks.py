"""Run and cancel tasks reliably: `asyncio.timeout` may take a cancellation for its own."""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterable
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a process of ours."""

REPEAT_SECONDS = 1.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end, as `asyncio.run` does, but no Ctrl-C is lost.

    `asyncio.run` cancels the work in the middle of a step. A time-out that begins and ends in that
    step takes the cancellation for its own (until Python 3.13), and the work goes on. So the loop
    cancels it between two steps, and again every second until it has ended, even while it cleans
    up: `asyncio.wait_for` forgets a cancellation that comes when its time-out is no longer needed
    (until Python 3.12). A second Ctrl-C ends at once a step that does not return. Raises
    KeyboardInterrupt after either. What comes in the last step is too late: the work is done.
    """
    if not _interruptible():
        return asyncio.run(work)

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

        def cancel() -> None:
            if task.cancel():
                loop.call_later(REPEAT_SECONDS, cancel)

        def interrupt(number: int, frame: FrameType | None) -> None:
            signal.signal(number, signal.default_int_handler)
            loop.call_soon_threadsafe(cancel)

        signal.signal(signal.SIGINT, interrupt)
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def heard() -> tuple[signal.Signals, ...]:
    """The signals that end us, but not those that our parent has us ignore, as nohup does."""
    return tuple(number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, again and again, until they have ended. Their exceptions are ignored.

    Once is not enough: a library may take a cancellation that meets a time-out for that time-out,
    and the cancellation is lost.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=REPEAT_SECONDS)


def _interruptible() -> bool:
    """Whether `asyncio.run` listens for Ctrl-C: in the main thread, unless it is ignored."""
    return (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
