"""Rows for questions about numbers."""

import pytest

from tests.queries.precomputed.numbers import hold
from tests.queries.simple import row
from tests.queries.storing import Storer


@pytest.fixture
async def fortnight(storer: Storer) -> Storer:
    """Two weeks, a number a day, compacted."""
    await hold(
        storer,
        [row(f"2026-10-{day:02}T12:30", f"u{day % 5}", k=f"k{day}", n=day) for day in range(1, 15)],
    )
    return storer
