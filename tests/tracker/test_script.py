"""What pages load: small, made of its source, and served so that browsers may keep it."""

import gzip
import re
import subprocess
from pathlib import Path

import brotli
import pytest

from analytics.errors import ConfigurationError
from analytics.roles.collector.script import best_encoding
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


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("br; q=0.0", ""),
        ("", ""),
        ("identity", ""),
        ("br;q=1.0", "br"),
    ],
)
def test_the_smallest_encoding_that_is_accepted_is_sent(accepted: str, encoding: str) -> None:
    assert best_encoding(accepted) == encoding


@pytest.mark.parametrize("encoding", ["br", "gzip", "identity"])
async def test_the_script_can_be_kept_and_asked_for_again(encoding: str) -> None:
    async with running() as client:
        asked = {"Accept-Encoding": encoding, "Origin": "https://page.example"}
        answer = await client.get("/tracker.js", headers=asked)
        assert answer.status_code == 200
        assert answer.content == SCRIPT
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers.get("content-encoding", "identity") == encoding
        assert answer.headers["cache-control"].startswith("public, max-age=3600")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Accept-Encoding" in answer.headers["vary"]
        again = await client.get(
            "/tracker.js", headers=asked | {"If-None-Match": f"W/{answer.headers['etag']}"}
        )
        assert (again.status_code, again.content, again.headers["etag"]) == (
            304,
            b"",
            answer.headers["etag"],
        )
        changed = await client.get(
            "/tracker.js", headers=asked | {"If-None-Match": '"0123456789abcdef"'}
        )
        assert changed.status_code == 200
        assert (await client.head("/tracker.js", headers=asked)).status_code == 200


async def test_each_encoding_has_an_etag_of_its_own() -> None:
    async with running() as client:
        tags = {
            (await client.get("/tracker.js", headers={"Accept-Encoding": encoding})).headers["etag"]
            for encoding in ("br", "gzip", "identity")
        }
    assert len(tags) == 3


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
