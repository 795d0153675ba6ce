"""The page of the matrix is that of the libraries as they are locked, and every library stands in
the docs.
"""

import json
import re

import pytest

from tests.faults.platform import ROOT
from tests.sdks.matrix import named
from tests.sdks.sdks import HERE, SDKS, Sdk

PAGES = ROOT / "docs" / "sdks"

TOOLS = {
    "esbuild",
    *("openapi-fetch", "openapi-python-client", "openapi-spec-validator", "openapi-typescript"),
    *("swagger-ui-dist", "typescript"),
}
"""What builds pages, makes clients of openapi.json, and shows it (`/api/docs`)."""

EXPECTED = {
    *(
        "segment-analytics-python",
        "posthog",
        "rudder-sdk-python",
        "amplitude-analytics",
        "mixpanel",
        "snowplow-tracker",
        "umami-analytics",
    ),
    *(
        "plausible-events",
        "@segment/analytics-node",
        "@segment/analytics-next",
        "posthog-node",
        "posthog-js",
        "@rudderstack/rudder-sdk-node",
    ),
    *(
        "@amplitude/analytics-node",
        "@snowplow/node-tracker",
        "plausible-tracker",
        "@umami/node",
        "matomo-tracker",
    ),
}
"""Those that people use most; `mixpanel` is two libraries of that name."""


def test_the_matrix_is_of_the_libraries_as_they_are_locked() -> None:
    rows = [
        tuple(line.split(" | ")[:2])
        for line in (PAGES / "matrix.md").read_text().splitlines()
        if line.startswith("| [")
    ]
    assert rows == [(f"| {name}", version) for name, version in map(named, SDKS)], (
        "make sdk-matrix writes it anew"
    )


def test_the_libraries_that_people_use_most_are_in_it() -> None:
    assert {sdk.package for sdk in SDKS} >= EXPECTED
    assert [sdk.python for sdk in SDKS if sdk.package == "mixpanel"] == [True, False]


def test_every_library_that_is_installed_is_run() -> None:
    asked = {
        line
        for line in (HERE / "requirements.in").read_text().splitlines()
        if line and not line.startswith("#")
    }
    asked |= set(json.loads((HERE / "package.json").read_text())["dependencies"])
    assert asked >= TOOLS
    assert {sdk.package for sdk in SDKS} == asked - TOOLS


@pytest.mark.parametrize("sdk", SDKS, ids=[sdk.name for sdk in SDKS])
def test_every_library_has_its_setting_in_the_docs(sdk: Sdk) -> None:
    assert re.search(rf"`{re.escape(sdk.package)}`", (PAGES / f"{sdk.docs}.md").read_text())
