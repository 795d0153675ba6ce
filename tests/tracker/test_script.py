"""What pages load: small, made of its source, and served under the names that an operator gives."""

import gzip
import re
import subprocess
from pathlib import Path

import brotli
import pytest

from analytics.errors import ConfigurationError
from analytics.tracker import SCRIPT
from tests import node
from tests.collecting import GOOD, running

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MAX_BYTES = 3 * 1024


@pytest.mark.parametrize("compress", [brotli.compress, gzip.compress], ids=["brotli", "gzip"])
def test_the_script_stays_under_3_kb_compressed(compress: object) -> None:
    assert callable(compress)
    assert 1000 < len(compress(SCRIPT)) < MAX_BYTES


def test_the_script_is_made_of_its_source_and_the_source_has_types(tmp_path: Path) -> None:
    for run in (
        ["run", "--silent", "check"],
        ["run", "--silent", "build", "--", "--output", str(tmp_path / "made.js")],
    ):
        done = subprocess.run(
            [node.npm(), *run],
            cwd=HERE,
            env=node.ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "made.js").read_bytes() == SCRIPT, "make tracker writes it anew"


@pytest.mark.parametrize(
    ("more", "fits"), [("", True), ("analytics(1)", False), ("analytics.page('help')", False)]
)
def test_what_the_docs_show_has_the_types_that_they_declare(
    tmp_path: Path, more: str, fits: bool
) -> None:
    page = (ROOT / "docs" / "tracker.md").read_text()
    [declared] = re.findall(r"^```ts\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    [used] = re.findall(r"^```js\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "page.ts").write_text(f"{declared}{used}{more}\n")
    tsc = HERE / "node_modules" / ".bin" / "tsc"
    done = subprocess.run(
        [str(tsc), "--noEmit", "--strict", str(tmp_path / "page.ts")],
        env=node.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is fits, done.stdout


async def test_other_names_serve_the_script_and_take_events() -> None:
    async with running(tracker_paths=("/js/app.js", "/js/in")) as client:
        assert (await client.get("/js/app.js")).content == SCRIPT
        assert (await client.send_events(GOOD, "/js/in")).status_code == 202
        assert [event.event_action for event in client.sink.events] == ["click"]
    async with running() as client:
        assert (await client.send_events(GOOD, "/js/in")).status_code == 404


@pytest.mark.parametrize("path", ["/collect", "/tracker.js", "/batch", "/metrics"])
async def test_a_name_that_is_taken_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match=path):
        async with running(tracker_paths=(path,)):
            pass
