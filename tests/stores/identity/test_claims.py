"""Claims: what an event says about identity, and what does not count as a name."""

from typing import Any

import msgspec
import pytest

from analytics.stores.identity.claims import MAX_NAME_CHARACTERS, Alias, Claim, Claims, find_claims
from tests.stores.conftest import an_event


def saying(event_type: str = "page", **metadata: Any) -> Any:
    named = {f"${name}": value for name, value in metadata.items()}
    return an_event(event_type=event_type, metadata=msgspec.json.encode(named), user_id="u")


def test_an_anonymous_id_is_a_claim_and_the_earlier_name_in_an_alias_is_one_name_more() -> None:
    event = saying("alias", anonymous_id="d", previous_id="old")
    said = find_claims([event])
    assert said == {
        "default": Claims([Claim("d", "u", event.timestamp, event.id)], [Alias("old", "u")])
    }
    assert said["default"].names == {"d", "old", "u"}


def test_an_earlier_name_counts_only_in_an_alias_and_nobody_claims_without_a_user() -> None:
    anonymous = msgspec.structs.replace(saying("alias", anonymous_id="d"), user_id=None)
    assert find_claims([saying("page", previous_id="old"), anonymous]) == {}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("d", "d"),
        (7, "7"),
        (0, "0"),
        ("x" * MAX_NAME_CHARACTERS, "x" * MAX_NAME_CHARACTERS),
        ("x" * (MAX_NAME_CHARACTERS + 1), None),
        ("u", None),
        ("", None),
        (True, None),
        (1.5, None),
        (None, None),
        (["d"], None),
    ],
    ids=lambda value: str(value)[:10],
)
def test_a_name_is_text_or_a_whole_number_of_another_actor(value: object, name: str | None) -> None:
    claimed = [
        claim[0] for of in find_claims([saying(anonymous_id=value)]).values() for claim in of.claims
    ]
    assert claimed == ([name] if name else [])


def test_a_key_that_is_written_with_escapes_counts_too() -> None:
    event = an_event(user_id="u", metadata=rb'{"\u0024anonymous_id":"d"}')
    assert [claim.anonymous_id for claim in find_claims([event])["default"].claims] == ["d"]


def test_projects_claim_for_themselves() -> None:
    events = [
        saying(anonymous_id="d"),
        msgspec.structs.replace(saying(anonymous_id="e"), project="b"),
    ]
    assert {project: of.names for project, of in find_claims(events).items()} == {
        "default": {"d", "u"},
        "b": {"e", "u"},
    }
