"""Paths of the protocols: nginx has them all, and no two protocols share one without `claims`."""

import re
from pathlib import Path

import pytest

from analytics.protocols import PROTOCOLS

ROOT = Path(__file__).parents[2]
FRONT = (ROOT / "nginx" / "sdk.conf").read_text()


def test_every_path_of_a_protocol_passes_the_front_door() -> None:
    exact, patterns = re.findall(r"location = (\S+)", FRONT), re.findall(r"location ~ (\S+)", FRONT)
    paths = [
        re.sub(r"{\w+}", "KEY", path)
        for protocol in PROTOCOLS
        for path in (*protocol.routes, *protocol.stubs)
    ]
    assert [
        path
        for path in paths
        if not path.startswith("/collect")
        and path not in exact
        and not any(re.search(each, path) for each in patterns)
    ] == []


def test_a_path_that_several_have_is_claimed_by_all_but_the_first() -> None:
    silent = type(PROTOCOLS[0])(
        "", {}, PROTOCOLS[0].read, PROTOCOLS[0].accept, PROTOCOLS[0].refuse
    ).claims
    seen: dict[str, str] = {}
    for protocol in PROTOCOLS:
        for path in protocol.routes:
            assert path not in seen or protocol.claims is not silent, (
                f"{protocol.name} and {seen[path]} at {path}"
            )
            seen.setdefault(path, protocol.name)
    assert {path for path, name in seen.items() if name == "posthog"} >= {
        "/batch",
        "/track",
        "/engage",
    }


@pytest.mark.parametrize(
    "name",
    sorted({protocol.name.partition("_")[0] for protocol in PROTOCOLS} - {"native", "pixel"}),
)
def test_every_protocols_page_says_what_becomes_of_each_part_of_an_event(name: str) -> None:
    page = (ROOT / "docs" / "sdks" / f"{name}.md").read_text()
    _, table = re.split(r"^\| theirs \| ours \|$", page, flags=re.MULTILINE)
    ours = " ".join(line.split(" | ", 1)[1] for line in table.splitlines() if line.startswith("| "))
    missing = [
        word
        for word in ("`id`", "`user_id`", "`session_id`", "`timestamp`", "metadata", "`$` and")
        if word not in ours
    ]
    assert missing == []
    assert "`track`" in ours or ("`event_type`" in ours and "`event_action`" in ours)
    assert "`POST /" in page or "POST at `/" in page


def test_the_table_of_protocols_says_whether_events_are_deduplicated() -> None:
    """Where no id is sent, the page says so, and so does the overview."""
    overview = (ROOT / "docs" / "sdks" / "README.md").read_text()
    for name in ("plausible", "umami", "ga4", "matomo"):
        assert re.search(rf"\({name}\.md\) \|.*\| no: no id is sent \|", overview)
        assert "| no id | `id`" in (ROOT / "docs" / "sdks" / f"{name}.md").read_text()
