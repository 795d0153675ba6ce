"""A key: what it opens."""

import pytest

from analytics.errors import Forbidden
from analytics.projects import Key, authorize
from tests.projects.kit import a_key


@pytest.mark.parametrize(
    ("key", "scope", "project", "origin", "expected"),
    [
        (a_key(), "ingest", None, None, "shop"),
        (a_key(), "ingest", "shop", None, "shop"),
        (a_key(), "ingest", "other", None, Forbidden),
        (a_key(), "query", None, None, Forbidden),
        (a_key(project=None), "ingest", None, None, "default"),
        (a_key(project=None), "ingest", "other", None, "other"),
        (a_key(scopes=frozenset({"admin"})), "query", None, None, "shop"),
        (a_key(origins=("https://a.example",)), "ingest", None, "https://a.example", "shop"),
        (a_key(origins=("https://a.example",)), "ingest", None, "https://b.example", Forbidden),
        (a_key(origins=("https://a.example",)), "ingest", None, None, "shop"),
    ],
)
def test_a_key_opens_its_project_for_its_scopes_and_origins_only(
    key: Key, scope: str, project: str | None, origin: str | None, expected: object
) -> None:
    if expected is Forbidden:
        with pytest.raises(Forbidden):
            authorize(key, scope, project, origin=origin)
    else:
        assert authorize(key, scope, project, origin=origin) == expected
