"""The tracker as it is served, so that browsers may keep it."""

import pytest

from analytics.roles.collector.script import best_encoding
from analytics.tracker import SCRIPT
from tests.collecting import running


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
