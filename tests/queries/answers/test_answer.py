"""An answer in its envelope, and what HTTP caches are told of it."""

import httpx2

from analytics.stores import PostgresStore
from tests.queries.answers.cached import OLD, put


async def test_etag_and_304(http: httpx2.AsyncClient, store: PostgresStore) -> None:
    await put(store)
    first = await http.get(OLD)
    assert first.headers["cache-control"] == "private, max-age=30"
    assert first.headers["vary"] == "Authorization, X-API-Key, Origin", (
        "whose answer it is decides who may be given it"
    )
    for tags in (first.headers["etag"], f'"x", W/{first.headers["etag"]}'):
        again = await http.get(OLD, headers={"If-None-Match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (
            304,
            b"",
            first.headers["etag"],
        )
    assert (await http.get(OLD, headers={"If-None-Match": '"x"'})).status_code == 200
    assert (await http.get("/api/trends?last=7d")).headers["cache-control"] == "private, max-age=2"
    events = await http.get("/api/events")
    assert (events.headers["cache-control"], "etag" in events.headers) == (
        "private, no-cache",
        True,
    )
