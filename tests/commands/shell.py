"""Shared by the tests of commands: a command as a shell runs it, with only these settings."""

import os
import subprocess
from collections.abc import Callable

from tests import forking

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(environment: dict[str, str]) -> Run:
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")
    }

    def run(*arguments: str, status: int = 0, **more: str) -> "subprocess.CompletedProcess[str]":
        done = forking.run(*arguments, env={**kept, **environment, **more})
        assert done.returncode == status, done
        return done

    return run


def complaint(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line that a failure leaves."""
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    return done.stderr
