"""How much is remembered: no more than a quarter of what the process may have."""

from pathlib import Path

import pytest

from analytics.queries.database import memory
from analytics.queries.database.memory import Cells, Memory, MemoryEntry, allowance
from analytics.queries.database.sums import Sum

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("512000000\n", 128_000_000),
        (f"{8 * GB}\n", memory.MAX_MEMORY_BYTES),
        ("max\n", memory.MAX_MEMORY_BYTES),
        (None, memory.MAX_MEMORY_BYTES),
    ],
)
def test_a_container_s_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, expected: int
) -> None:
    monkeypatch.setattr(
        "os.sysconf", lambda name: {"SC_PHYS_PAGES": GB // 1000, "SC_PAGE_SIZE": 4000}[name]
    )
    limit = tmp_path / "memory.max"
    if says is not None:
        limit.write_text(says)
    assert allowance(limit) == expected


def test_a_small_machine_s_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "os.sysconf", lambda name: {"SC_PHYS_PAGES": 100_000, "SC_PAGE_SIZE": 4000}[name]
    )
    assert allowance(tmp_path / "memory.max") == 100_000_000


def test_the_least_recently_used_is_forgotten_first() -> None:
    remembered = Memory(limit_bytes=30)
    for key in ("a", "b", "c"):
        remembered.keep(key, MemoryEntry(key, False, 10))
    assert remembered.find("a", people=False)
    remembered.keep("d", MemoryEntry("d", False, 15))
    assert [key for key in "abcd" if remembered.find(key, people=False)] == ["a", "d"]
    assert remembered.used_bytes == 25


def test_memory_forgets_what_was_not_asked_for_longest() -> None:
    memory = Memory(limit_bytes=100)
    cells: Cells = {("", "", None): Sum(1, ())}
    for key in "abc":
        memory.keep(key, MemoryEntry(cells, True, 40))
        memory.find("a", people=True)
    assert [bool(memory.find(key, people=True)) for key in "abc"] == [True, False, True]
    assert memory.used_bytes == 80


def test_memory_of_counts_alone_does_not_answer_for_people_nor_replace_theirs() -> None:
    memory = Memory()
    cells: Cells = {("", "", None): Sum(1, ())}
    memory.keep("a", MemoryEntry(cells, False, 10))
    assert memory.find("a", people=False)
    assert memory.find("a", people=True) is None
    memory.keep("a", MemoryEntry(cells, True, 20))
    memory.keep("a", MemoryEntry(cells, False, 10))
    assert memory.find("a", people=True)
    assert memory.used_bytes == 20
