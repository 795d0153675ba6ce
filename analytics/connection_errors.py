"""What asyncpg raises where the connection is at fault, and not the statement."""

import asyncpg

CONNECTION_ERRORS = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""InternalClientError is no InterfaceError: `cannot switch to state 15`, of a connection whose last
operation was interrupted.
"""
