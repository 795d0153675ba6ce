"""What an error from the database means: try again, an event that can never be stored, or a schema
that is not ours.
"""

import logging
import re
from enum import Enum

import asyncpg

from analytics import metrics
from analytics.errors import TransientStoreError

log = logging.getLogger(__name__)


class Verdict(Enum):
    """What to do about an error."""

    TRANSIENT = "transient"
    """The server is down, busy, full or read-only: the same batch may be stored later."""
    POISON = "poison"
    """The data is at fault: an event among the batch can never be stored."""
    TWIN = "twin"
    """Rows are there already: the batch is to be stored with care, duplicates apart."""
    NO_PARTITION = "no partition"
    """A timestamp lies where no partition is yet."""
    STALE = "stale"
    """A prepared statement is older than the schema: once more, with a new one."""
    SCHEMA = "schema"
    """The schema is not the one this release works with, or the error is not one we know: try
    again, and tell the operator.
    """


POISON = ("22", "23", "54", "21")
"""Data exceptions, violated constraints, exceeded limits, cardinality."""

TRANSIENT = ("08", "40", "53", "55", "57")
"""Connection, rollback (deadlock, serialisation), resources (disk, connections), locks,
intervention (shutdown, cancel).
"""

READ_ONLY = "25006"
UNIQUE = "23505"
CHECK = "23514"
ENCODING = (ValueError, OverflowError)
"""What asyncpg raises for a value that it cannot bring into the column's type."""


def judge(error: BaseException) -> Verdict:
    """Decide by SQLSTATE, else by the kind of exception."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Verdict.STALE
    if isinstance(error, asyncpg.PostgresError):
        return _judge_state(error)
    if isinstance(error, ENCODING):
        return Verdict.POISON
    if isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError)):
        return Verdict.TRANSIENT
    return Verdict.SCHEMA


def _judge_state(error: asyncpg.PostgresError) -> Verdict:
    state = error.sqlstate or ""
    if state == UNIQUE:
        return Verdict.TWIN
    if state == CHECK and not error.constraint_name:
        return Verdict.NO_PARTITION
    if state[:2] in POISON:
        return Verdict.POISON
    if state[:2] in TRANSIENT or state == READ_ONLY:
        return Verdict.TRANSIENT
    return Verdict.SCHEMA


def transient(error: BaseException) -> TransientStoreError:
    """The error to raise for one that is to be tried again; counts it, and alerts when it will not
    heal by itself.
    """
    state = (error.sqlstate or "")[:2] if isinstance(error, asyncpg.PostgresError) else "connection"
    metrics.store_retries.inc({"class": state})
    if judge(error) is not Verdict.TRANSIENT:
        trace = (
            None if isinstance(error, asyncpg.PostgresError) else error
        )  # what the server says needs no traceback of ours
        log.error(
            "events cannot be stored until this is put right, and wait in the queue meanwhile: %s",
            describe(error),
            exc_info=trace,
        )
    return TransientStoreError(f"the database did not commit: {describe(error)}")


def reason(error: BaseException) -> str:
    """An error as a stable word, by PostgreSQL's name of its condition: `untranslatable_character`."""
    words = re.findall(r"[A-Z][a-z0-9]*", type(error).__name__.removesuffix("Error"))
    return "_".join(words).lower()[:64] or "error"


def describe(error: BaseException) -> str:
    """An error as one line without the values that PostgreSQL's DETAIL quotes."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else ""
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
