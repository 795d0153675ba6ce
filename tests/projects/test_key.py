"""A key: what it opens, when it has expired, and by which digest it is known."""

import hashlib
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from analytics.errors import Forbidden
from analytics.projects import ApiKey, authorize, digest, key
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
    key: ApiKey, scope: str, project: str | None, origin: str | None, expected: object
) -> None:
    if expected is Forbidden:
        with pytest.raises(Forbidden):
            authorize(key, scope, project, origin=origin)
    else:
        assert authorize(key, scope, project, origin=origin) == expected


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        ({"scope": "query"}, "missing_scope", None),
        ({"scope": "ingest", "project": "other"}, "other_project", "project"),
        ({"scope": "ingest", "origin": "https://b.example"}, "foreign_origin", None),
        ({"scope": "ingest", "origin": "https://A.example"}, "foreign_origin", None),
        ({"scope": "ingest", "origin": ""}, "foreign_origin", None),
    ],
)
def test_a_refusal_says_which_of_the_three_it_was(
    asked: dict[str, str], code: str, field: str | None
) -> None:
    with pytest.raises(Forbidden) as refusal:
        authorize(a_key(origins=("https://a.example",)), **asked)
    assert (refusal.value.code, refusal.value.field) == (code, field)


def test_a_key_has_expired_at_its_very_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    end = datetime(2026, 11, 3, tzinfo=UTC)

    class Calendar(datetime):
        @classmethod
        def now(cls, _: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return end

    monkeypatch.setattr(key, "datetime", Calendar)
    assert a_key(expires_at=end).expired
    assert not a_key(expires_at=end + timedelta(microseconds=1)).expired
    assert not a_key().expired


def test_any_text_has_a_digest() -> None:
    """A token comes from a client, and JSON can hold half of a surrogate pair."""
    assert digest("ak_w_x").hex() == hashlib.sha256(b"ak_w_x").hexdigest()
    assert len({digest("\ud800"), digest("\udfff"), digest("?"), digest("")}) == 4
