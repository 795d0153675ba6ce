"""The key in a request's headers."""

import pytest

from analytics.errors import Unauthorized
from analytics.roles.http.credentials import needed_token, token_of


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"authorization": "Bearer b"}, "b"),
        ({"authorization": "bearer  b "}, "b"),
        ({"authorization": "Bearer b", "x-api-key": "x"}, "b"),
        ({"authorization": "Basic b", "x-api-key": "x"}, "x"),
        ({"x-api-key": "x"}, "x"),
        ({"authorization": "Bearer", "x-api-key": "x"}, None),
        ({"x-api-key": ""}, None),
        ({"authorization": "b"}, None),
        ({}, None),
    ],
)
def test_the_bearers_key_goes_before_the_other_header(
    headers: dict[str, str], token: str | None
) -> None:
    assert token_of(headers) == token
    if token:
        assert needed_token(headers) == token
    else:
        with pytest.raises(Unauthorized, match="X-API-Key"):
            needed_token(headers)
