"""What every program is told, and when it may end: it sends, then lives on until its standard input is closed."""

import os
import sys

TARGET = os.environ["TARGET"]
TOKEN = os.environ["TOKEN"]
NUMBERS = range(int(os.environ["EVENTS"]))


def wait() -> None:
    sys.stdin.read()
