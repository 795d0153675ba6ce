"""A processor that is killed between the commit of its first batch and telling the queue: run as a
program by the fault tests.
"""

import os
import signal
import sys
from collections.abc import Sequence

from analytics import live
from analytics.cli import main
from analytics.events import Event


async def die(_: object, __: Sequence[Event]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


live.publish = die  # type: ignore[assignment]  # the first thing after the commit
sys.argv = ["analytics", "run", "--role=processor"]
main()
