"""What an error from the database means, and so what to do about it."""

import logging
import re
from enum import Enum

import asyncpg

from analytics import metrics
from analytics.connection_errors import CONNECTION_ERRORS
from analytics.errors import SuspectBatch, TransientStoreError

log = logging.getLogger(__name__)


class FaultKind(Enum):
    """The kinds of errors that call for different actions."""

    TRANSIENT = "transient"
    """The server is down, busy, full or read-only: try the same batch again later."""
    POISON = "poison"
    """The data is at fault: some event of the batch can never be stored."""
    TWIN = "twin"
    """Some rows exist already: store the batch with care, and count them as duplicates."""
    NO_PARTITION = "no partition"
    """No partition covers a timestamp yet: make one."""
    STALE = "stale"
    """A prepared statement is older than the schema: try once more, which prepares a new one."""
    SCHEMA = "schema"
    """The schema is not this release's, or the error is unknown: try again and log an error."""


POISON = ("22", "23", "54", "21")
"""Classes of SQLSTATE: data exceptions, violated constraints, exceeded limits, cardinality."""

TRANSIENT = ("08", "40", "53", "55", "57")
"""Classes of SQLSTATE that pass by themselves.

Connection, rollback (deadlock, serialisation), resources (disk, connections), locks, intervention
(shutdown, cancel).
"""

OF_THE_BATCH = ("40", "55")
"""Those of them that may lie with the batch: what it locks is locked by somebody else."""

READ_ONLY = "25006"
UNIQUE = "23505"
CHECK = "23514"
ENCODING = (ValueError, OverflowError)
"""What asyncpg raises for a value that does not fit the column's type."""


def classify(error: BaseException) -> FaultKind:
    """The kind of an error, by its SQLSTATE, else by the type of exception."""
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return FaultKind.STALE
    if isinstance(error, asyncpg.PostgresError):
        return _classify_state(error)
    if isinstance(error, ENCODING):
        return FaultKind.POISON
    if isinstance(error, CONNECTION_ERRORS):
        return FaultKind.TRANSIENT
    return FaultKind.SCHEMA


def _classify_state(error: asyncpg.PostgresError) -> FaultKind:
    state = error.sqlstate or ""
    if state == UNIQUE:
        return FaultKind.TWIN
    if state == CHECK and not error.constraint_name:
        return FaultKind.NO_PARTITION
    if state[:2] in POISON:
        return FaultKind.POISON
    if state[:2] in TRANSIENT or state == READ_ONLY:
        return FaultKind.TRANSIENT
    return FaultKind.SCHEMA


def transient(error: BaseException) -> TransientStoreError:
    """The error to raise where the batch is to be tried again.

    It is a SuspectBatch where the batch may be the reason. Counts the retry. Logs an error when
    trying again will not help by itself.
    """
    state = (error.sqlstate or "")[:2] if isinstance(error, asyncpg.PostgresError) else "connection"
    metrics.store_retries.inc({"class": state})
    message = f"the database did not commit: {describe(error)}"
    known = classify(error) is FaultKind.TRANSIENT
    if not known:
        # what the server says needs no traceback of ours
        trace = None if isinstance(error, asyncpg.PostgresError) else error
        log.error(
            "events cannot be stored until this is put right, and wait in the queue meanwhile: %s",
            describe(error),
            exc_info=trace,
        )
    slow = isinstance(error, TimeoutError | asyncpg.QueryCanceledError)
    if slow or not known or state in OF_THE_BATCH:
        return SuspectBatch(message, slow=slow)
    return TransientStoreError(message)


def reason(error: BaseException) -> str:
    """An error as a stable word, PostgreSQL's name of the condition: untranslatable_character."""
    words = re.findall(r"[A-Z][a-z0-9]*", type(error).__name__.removesuffix("Error"))
    return "_".join(words).lower()[:64] or "error"


def describe(error: BaseException) -> str:
    """An error as one line, without the values that PostgreSQL quotes in DETAIL."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else ""
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
