"""The real libraries against a real platform; docs/sdks/matrix.md is written by this run (`make
sdk-matrix`).
"""

from collections.abc import Iterator

import pytest

from tests.faults.platform import ROOT, Platform
from tests.sdks.matrix import written
from tests.sdks.runs import MOST, Run, Runs
from tests.sdks.sdks import EVENTS, PLAN, SDKS, Sdk
from tests.servers import temporary_folder

Results = dict[tuple[str, str], Run]
every = pytest.mark.parametrize("sdk", SDKS, ids=[sdk.name for sdk in SDKS])


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    with temporary_folder("sdks") as folder, Platform(folder, REQUIRE_WRITE_KEY="true") as platform:
        yield Runs(platform).all()


@every
def test_every_event_sent_is_found_once_with_its_properties(sdk: Sdk, results: Results) -> None:
    run = results["plain", sdk.name]
    assert sorted(run.events) == [(str(n), PLAN) for n in range(EVENTS)], run
    assert all(status in (200, 202, 204) for status in run.heard), run


@every
def test_what_is_refused_for_good_is_not_sent_again(sdk: Sdk, results: Results) -> None:
    run = results["refused", sdk.name]
    assert 0 < run.refusals == len(run.heard), run
    assert len(run.heard) <= MOST or not sdk.yields, run


@every
def test_an_outage_is_outlived_by_who_tries_again_and_doubles_nothing(
    sdk: Sdk, results: Results
) -> None:
    run = results["outage", sdk.name]
    assert 503 in run.heard, run
    assert run.repeated == 0, run
    assert run.complete or not sdk.keeps, run


@every
def test_a_storm_of_repeats_makes_no_duplicate_where_ids_are_sent(
    sdk: Sdk, results: Results
) -> None:
    run = results["storm", sdk.name]
    assert run.complete, run
    assert run.heard.count(503) >= 1
    assert run.repeated == 0 or not sdk.named, run


def test_the_matrix_is_written_when_every_library_came_through(results: Results) -> None:
    assert all(results[stage, sdk.name].complete for sdk in SDKS for stage in ("plain", "storm"))
    (ROOT / "docs" / "sdks" / "matrix.md").write_text(written(results))
