"""A fresh platform for each fault; what it measured goes into the proof."""

import contextlib
from collections.abc import Callable, Iterator

import msgspec
import pytest

from tests.faults.platform import Platform
from tests.servers import temporary_folder

MakePlatform = Callable[..., Platform]


@pytest.fixture
def make_platform(request: pytest.FixtureRequest) -> Iterator[MakePlatform]:
    """Makes the test's platform, not started yet; what it measured is recorded and all of it is
    ended after the test.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder("fault"))

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
