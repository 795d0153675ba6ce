"""Claims: what an event says about identity, and what does not count as a name."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from analytics.events import NO_ACTOR, NO_SESSION
from analytics.stores.identity.claims import MAX_NAME_CHARACTERS, Alias, Claim, Claims, find_claims
from tests.protocols.captured import collector
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
        (0, None),
        (10, "10"),
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


@pytest.mark.parametrize(
    "name",
    [
        *("null", "NULL", "undefined", "uNdEfInEd", "NaN", "None", "none", "true", "False", "0"),
        *("[object Object]", "[OBJECT OBJECT]", str(UUID(int=0)), NO_SESSION, NO_ACTOR),
        *(" null ", "undefined\n", "\tNaN", "\u00a0none\u2003", " [object Object] ", " 0\r\n"),
        *("0.0", "-0", "-0.00", "0e5", "0E+0", "0.0e-3"),
        *("0" * 32, f"{{{UUID(int=0)}}}", f"urn:uuid:{UUID(int=0)}", f"URN:UUID:{UUID(int=0)}"),
        *(f"{{{'0' * 32}}}", f" {UUID(int=0)} "),
    ],
)
def test_a_placeholder_is_nobodys_name_on_either_side(name: str) -> None:
    of_user = msgspec.structs.replace(
        saying("alias", anonymous_id="d", previous_id="old"), user_id=name
    )
    assert find_claims([saying("alias", anonymous_id=name, previous_id=name), of_user]) == {}
    similar = saying("alias", anonymous_id=f"{name}x", previous_id=f"x{name}")
    assert find_claims([similar])["default"].names == {f"{name}x", f"x{name}", "u"}


LINKING: dict[str, tuple[str, Any]] = {
    "segment, alias": ("/v1/alias", {"userId": "u", "previousId": "X"}),
    "segment, identify": ("/v1/identify", {"userId": "u", "anonymousId": "X"}),
    "segment, the user": ("/v1/identify", {"userId": "X", "anonymousId": "d"}),
    "posthog, identify": (
        "/e/",
        {"event": "$identify", "distinct_id": "u", "properties": {"$anon_distinct_id": "X"}},
    ),
    "posthog, alias": (
        "/e/",
        {"event": "$create_alias", "distinct_id": "X", "properties": {"alias": "u"}},
    ),
    "posthog, merge": (
        "/e/",
        {"event": "$merge_dangerously", "distinct_id": "u", "properties": {"alias": "X"}},
    ),
    "amplitude": (
        "/2/httpapi",
        {"events": [{"event_type": "e", "user_id": "u", "device_id": "X"}]},
    ),
    "mixpanel, identify": (
        "/track",
        {"event": "$identify", "properties": {"$identified_id": "u", "$anon_id": "X"}},
    ),
    "mixpanel, alias": (
        "/track",
        {"event": "$create_alias", "properties": {"distinct_id": "X", "alias": "u"}},
    ),
    "mixpanel, merge": (
        "/track",
        {"event": "$merge", "properties": {"$distinct_ids": ["u", "X"]}},
    ),
    "snowplow": (
        "/com.snowplowanalytics.snowplow/tp2",
        {"data": [{"e": "pv", "uid": "u", "duid": "X"}]},
    ),
    "ga4": (
        "/mp/collect?measurement_id=m&api_secret=s",
        {"client_id": "X", "user_id": "u", "events": [{"name": "e"}]},
    ),
    "matomo": ("/matomo.php", {"requests": ["?rec=1&uid=u&_id=X"]}),
    "natively": (
        "/collect",
        {
            "session_id": "s",
            "event_type": "alias",
            "event_action": "a",
            "user_id": "u",
            "metadata": {"$previous_id": "X", "$anonymous_id": "X"},
        },
    ),
}


NAMES = {"[object Object]": False, "undefined": False, " null ": False, "0.0": False}
NAMES |= {"0" * 32: False, f"{{{UUID(int=0)}}}": False, "someone": True}


@pytest.mark.parametrize(("path", "body"), LINKING.values(), ids=LINKING)
async def test_in_every_protocol_an_event_with_a_placeholder_stays_and_links_nobody(
    path: str, body: Any
) -> None:
    async with collector() as client:
        for name, links in NAMES.items():
            sent = msgspec.json.encode(body).replace(b"X", name.encode())
            assert (await client.send_events(sent, path)).status_code < 300
            assert bool(find_claims([client.sink.events[-1]])) is links
        assert len(client.sink.events) == len(NAMES)


@pytest.mark.parametrize(
    "name",
    [
        *("00", "0.1", "0x0", "0-0", "0" * 31, "0" * 33, str(UUID(int=1)), "{0}", "nullnull"),
        *("n ull", "urn:uuid:0", "[object Object] 2", "10", "0e", ".0", "0."),
    ],
)
def test_a_name_that_only_looks_like_a_placeholder_is_somebodys(name: str) -> None:
    assert find_claims([saying(anonymous_id=name)])["default"].names == {name, "u"}


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
