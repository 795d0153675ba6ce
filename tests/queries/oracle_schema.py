"""What the docs say a schema is: types, actions and keys that were seen, counted one by one."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.queries.oracle import Row


def schema(rows: Iterable[Row]) -> dict[str, list[dict[str, Any]]]:
    """The three lists, of rows that are in the range and pass the filters."""
    rows = list(rows)
    kinds: dict[str, tuple[tuple[str, ...], list[tuple[str, ...]]]] = {
        "event_types": (("event_type",), [(row.event_type,) for row in rows]),
        "event_actions": (
            ("event_type", "event_action"),
            [(row.event_type, row.event_action) for row in rows],
        ),
        "metadata_keys": (("key",), [(key,) for row in rows for key in row.metadata]),
    }
    return {
        kind: [
            {**dict(zip(names, values, strict=True)), "count": count}
            for values, count in _sorted(items)
        ]
        for kind, (names, items) in kinds.items()
    }


def _sorted(items: Iterable[tuple[str, ...]]) -> list[tuple[tuple[str, ...], int]]:
    return sorted(
        Counter(items).items(),
        key=lambda pair: (-pair[1], [[ord(character) for character in value] for value in pair[0]]),
    )
