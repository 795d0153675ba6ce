"""Matomo: the tracking API, one action or many."""

import json
from typing import Any

import pytest

from tests.protocols.captured import collector, columns_of, metadata, replay


async def test_what_was_captured_lands_in_the_sites_project() -> None:
    async with collector("1", require_write_key=True) as client:
        answer = await replay(client, "js-matomo-1")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
        answer = await replay(client, "js-matomo-2")
        assert {"status": "success", "tracked": 1, "invalid": 0}.items() <= answer.json().items()
        first, second = client.sink.events
        assert (first.project, columns_of(first)) == (
            "shop",
            ("track", "add", "0123456789abcdef", "$none"),
        )
        assert metadata(first) == {
            "category": "shop",
            "$url": "http://x.com/a",
            "$host": "x.com",
            "$path": "/a",
            "$title": "A",
        }
        assert columns_of(second) == ("page", "view", None, "$nobody")


ACTIONS: dict[str, tuple[dict[str, str], tuple[str, str, str | None, str], dict[str, Any]]] = {
    "a page": (
        {"url": "/a", "uid": "u1", "_id": "v1", "rand": "7"},
        ("page", "view", "u1", "$none"),
        {"$url": "/a", "$path": "/a", "$anonymous_id": "v1", "$rand": "7"},
    ),
    "a page with an emoji and a line separator": (
        {"url": "https://x.com/💥\u2028?q=🍓", "action_name": "💥", "uid": "u1"},
        ("page", "view", "u1", "$none"),
        {
            "$url": "https://x.com/💥\u2028?q=🍓",
            "$host": "x.com",
            "$path": "/💥\u2028",
            "$title": "💥",
        },
    ),
    "a search": (
        {"search": "shoes", "search_count": "3"},
        ("track", "search", None, "$nobody"),
        {"keyword": "shoes", "count": 3},
    ),
    "a goal": (
        {"idgoal": "4", "revenue": "9.5"},
        ("track", "goal", None, "$nobody"),
        {"goal": "4", "revenue": 9.5},
    ),
    "an order": (
        {"idgoal": "0", "ec_id": "o1", "revenue": "9.5"},
        ("track", "order", None, "$nobody"),
        {"order": "o1", "revenue": 9.5, "$idgoal": "0"},
    ),
    "a download": (
        {"download": "http://x/f", "token_auth": "hush"},
        ("track", "download", None, "$nobody"),
        {"file": "http://x/f"},
    ),
}


@pytest.mark.parametrize(("action", "columns", "extra"), ACTIONS.values(), ids=ACTIONS)
async def test_each_action_has_its_columns_and_metadata(
    action: dict[str, str], columns: tuple[str, str, str | None, str], extra: dict[str, Any]
) -> None:
    async with collector() as client:
        given = {"idsite": "1", "rec": "1", **action}
        assert (await client.get("/matomo.php", params=given)).status_code == 200
        assert (await client.post("/piwik.php", data=given)).status_code == 200
        for event in client.sink.events:
            assert (columns_of(event), metadata(event)) == (columns, extra)
        assert len(client.sink.events) == 2


@pytest.mark.parametrize("time", ["2020-01-01 00:00:00", "1577836800", "1577836800.0"])
async def test_a_time_is_a_date_in_utc_or_seconds(time: str) -> None:
    async with collector() as client:
        assert (
            await client.get("/matomo.php", params={"idsite": "1", "cdt": time, "send_image": "0"})
        ).status_code == 204
        assert client.sink.events[0].timestamp.isoformat() == "2020-01-01T00:00:00+00:00"


async def test_of_many_actions_the_valid_go_on() -> None:
    async with collector("1") as client:
        body = {
            "requests": [
                "?idsite=1&url=/a",
                {"idsite": 1, "url": "/b"},
                "?url=/neither",
                5,
                "?idsite=1&cdt=soon",
            ],
            "token_auth": "hush",
        }
        answer = await client.send_events(body, "/matomo.php")
        assert answer.json() == {
            "status": "success",
            "tracked": 2,
            "invalid": 3,
            "invalid_indices": [2, 3, 4],
        }
        assert "hush" not in json.dumps([metadata(event) for event in client.sink.events])
        assert (await client.send_events({"requests": []}, "/matomo.php")).status_code == 400


async def test_each_action_goes_by_its_own_site() -> None:
    async with collector("1") as client:
        sites = ("", "idsite=1&", "idsite=ak_w_old&", "idsite=2&")
        body = {"requests": [f"?{site}rec=1&url=/a" for site in sites]}
        answer = await client.send_events(body, "/matomo.php")
        assert (answer.json()["tracked"], answer.json()["invalid_indices"]) == (3, [2])
        assert [event.project for event in client.sink.events] == ["default", "shop", "default"]
    async with collector("1", require_write_key=True) as client:
        answer = await client.send_events(body, "/matomo.php")
        assert (answer.json()["tracked"], answer.json()["invalid_indices"]) == (1, [0, 2, 3])
        alone = {"requests": ["?rec=1&url=/a"]}
        assert (await client.send_events(alone, "/matomo.php")).status_code == 401


async def test_a_form_may_have_blanks_around_it() -> None:
    async with collector() as client:
        body = b"\nidsite=1&rec=1&e_c=c&e_a=a&send_image=0\r\n"
        assert (await client.send_events(body, "/matomo.php")).status_code == 204
        assert columns_of(client.sink.events[0])[:2] == ("track", "a")
        assert metadata(client.sink.events[0]) == {"category": "c"}
