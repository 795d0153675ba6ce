"""Where the protocols live: each path at the front door too, and none that two protocols could claim without a word."""

import re
from pathlib import Path

from analytics.protocols import PROTOCOLS

FRONT = (Path(__file__).parents[2] / "nginx" / "sdk.conf").read_text()


def test_every_path_of_a_protocol_passes_the_front_door() -> None:
    exact, patterns = re.findall(r"location = (\S+)", FRONT), re.findall(r"location ~ (\S+)", FRONT)
    paths = [re.sub(r"{\w+}", "KEY", path) for protocol in PROTOCOLS for path in (*protocol.routes, *protocol.stubs)]
    assert [path for path in paths if not path.startswith("/collect") and path not in exact and not any(re.search(each, path) for each in patterns)] == []


def test_a_path_that_several_have_is_claimed_by_all_but_the_first() -> None:
    silent = type(PROTOCOLS[0])("", {}, PROTOCOLS[0].read, PROTOCOLS[0].accept, PROTOCOLS[0].refuse).claims
    seen: dict[str, str] = {}
    for protocol in PROTOCOLS:
        for path in protocol.routes:
            assert path not in seen or protocol.claims is not silent, f"{protocol.name} and {seen[path]} at {path}"
            seen.setdefault(path, protocol.name)
    assert {path for path, name in seen.items() if name == "posthog"} >= {"/batch", "/track", "/engage"}


def test_every_protocol_has_a_page() -> None:
    pages = {page.stem for page in (Path(__file__).parents[2] / "docs" / "sdks").glob("*.md")}
    assert {protocol.name.partition("_")[0] for protocol in PROTOCOLS} - {"native", "pixel"} <= pages
