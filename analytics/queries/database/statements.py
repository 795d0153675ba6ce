"""The statements that a process keeps compiled: short ones, so that all of them have a bound.

Each is thousands of objects, all of which a full garbage collection visits in one stretch.
"""

from typing import Any

from sqlalchemy import Compiled
from sqlalchemy.util import LRUCache

MAX_STATEMENTS = 100
"""Statements that are kept; half as many more before the oldest go."""

MAX_CHARACTERS = 5_000
"""Of a statement that is kept. A longer one is rare, and takes a hundred times its length."""


class ShortStatements(LRUCache[Any, Compiled]):
    """SQLAlchemy's cache of compiled statements, which counts them and not their bytes."""

    def __init__(self) -> None:
        super().__init__(MAX_STATEMENTS)

    def __setitem__(self, key: Any, compiled: Compiled) -> None:
        if len(compiled.string) <= MAX_CHARACTERS:
            super().__setitem__(key, compiled)


compiled = ShortStatements()
"""Of all engines of this process, which differ in its keys."""
