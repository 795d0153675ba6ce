"""What the kernel says of processes: whether one still runs, and whether it listens at an address.

Without /proc (it is Linux's) it is only known whether a process runs.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

PROC = Path("/proc")
LISTENS = "0A"


class Process(msgspec.Struct, frozen=True):
    """A process of this machine: no other has both its number and its time of start."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this number now."""
        return cls(pid, _started(pid) or "")

    def runs(self) -> bool:
        return _started(self.pid) == self.started

    def listens(self, host: str, port: int) -> bool:
        """Whether it is this process that takes connections to `host`, a numeric address."""
        if not self.runs():
            return False
        sockets = _listening(host, port)
        return sockets is None or not sockets.isdisjoint(_sockets(self.pid))


def works_in(pid: int, folder: Path) -> bool:
    """Whether process `pid` runs in `folder` or below; without /proc, whether it runs at all."""
    if _started(pid) is None:
        return False
    if not _known():
        return True
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "cwd").resolve().is_relative_to(folder.resolve())
    return False


def named(prefix: str) -> list[int] | None:
    """The processes whose program's name begins so; None without /proc."""
    if not _known():
        return None
    found = []
    for path in PROC.glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text(errors="replace").startswith(prefix):
                found.append(int(path.parent.name))
    return found


def _known() -> bool:
    return (PROC / "self/stat").exists()


def _started(pid: int) -> str | None:
    """When it was started, in ticks since the machine was; None when it has ended."""
    if not _known():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, 0)
            return ""
        return None
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    state, *numbers = text.rpartition(")")[2].split()
    return None if state in "ZX" else numbers[18]


def _listening(host: str, port: int) -> set[str] | None:
    """The sockets that take connections to an address: those bound to it, else to every address.

    None when the kernel does not say; none for a name, which may stand for several addresses.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return set()
    table = PROC / "net" / ("tcp6" if family is socket.AF_INET6 else "tcp")
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return None
    by_address: dict[str, set[str]] = {}
    for row in rows:
        if row[3] == LISTENS:
            by_address.setdefault(row[1], set()).add(row[9])
    for each in (host, "::" if family is socket.AF_INET6 else "0.0.0.0"):  # noqa: S104 - looked up
        if sockets := by_address.get(f"{_hex(family, each)}:{port:04X}"):
            return sockets
    return set()


def _hex(family: socket.AddressFamily, host: str) -> str:
    """An address as the kernel writes it: words of 32 bits, in the machine's own order."""
    packed = memoryview(socket.inet_pton(family, host)).cast("I")
    return "".join(f"{word:08X}" for word in packed)


def _sockets(pid: int) -> Iterator[str]:
    """The numbers of the sockets that a process has open; none when we may not look."""
    with contextlib.suppress(OSError):
        for entry in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                kind, _, number = os.readlink(entry).partition(":")
                if kind == "socket":
                    yield number.strip("[]")
