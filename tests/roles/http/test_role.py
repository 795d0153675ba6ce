"""A role as an ASGI app: when it is ready."""

from tests.roles.http.kit import client


async def test_a_role_that_stops_is_not_ready() -> None:
    async with client() as http:
        http.app.state.ready = False  # type: ignore[attr-defined]
        assert (await http.get("/health")).status_code == 503
