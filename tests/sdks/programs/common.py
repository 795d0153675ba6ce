"""What every program is told, and when it may end: it sends, then lives on until its standard input
is closed.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

TARGET = os.environ["TARGET"]
TOKEN = os.environ["TOKEN"]
PLAN = os.environ["PLAN"]
NUMBERS = range(int(os.environ["EVENTS"]))


def at_once(send: Callable[[int], None]) -> None:
    """Every event by a thread of its own, for a library that waits for each answer: so an outage
    meets all of them. Errors are told, not raised.
    """

    def one(n: int) -> None:
        try:
            send(n)
        except Exception as error:
            print(error, file=sys.stderr)

    with ThreadPoolExecutor(len(NUMBERS)) as threads:
        list(threads.map(one, NUMBERS))


def wait() -> None:
    sys.stdin.read()
