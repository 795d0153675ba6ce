"""A fresh platform for each fault; what it measured goes into the proof."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.faults.platform import Platform

MakePlatform = Callable[..., Platform]


@pytest.fixture
def make_platform(request: pytest.FixtureRequest) -> Iterator[MakePlatform]:
    """Makes the test's platform, not started yet; what it measured is recorded and all of it is
    ended after the test.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="analytics-fault-")))
        folder.chmod(0o711)

        def make(**environment: str) -> Platform:
            made = Platform(folder, **environment)
            stack.callback(
                lambda: request.node.user_properties.append(
                    ("figures", msgspec.to_builtins(made.figures))
                )
            )
            stack.callback(made.__exit__)
            return made

        yield make


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform().__enter__()
