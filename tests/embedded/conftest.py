"""A fixture of the tests of embedded servers: their folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import temporary_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder below one that the servers' account can enter."""
    with temporary_folder("test") as folder:
        yield folder / "data"
