"""The user of the operating system that runs the servers: PostgreSQL refuses root."""

import contextlib
import os
import pwd

import msgspec

from analytics.errors import CommandError


class Account(msgspec.Struct, frozen=True):
    """A user, by name and numbers."""

    name: str
    uid: int
    gid: int


def account() -> Account | None:
    """The account to run the servers as; None for our own, when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise CommandError(
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' "
        "to run it as; make one, or start as an ordinary user"
    )
