"""From other products' fields to ours: actors, sessions, times, and metadata that loses nothing."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from analytics.errors import TooLarge, Unauthorized
from analytics.events import NO_ACTOR, NO_SESSION, Event
from analytics.protocols.protocol import MAX_REQUEST_KEYS, Decoded, Draft
from analytics.protocols.translate import (
    Translation,
    Translator,
    item,
    joined,
    kind_of,
    moment,
    renamed,
    rest,
    since_epoch,
    text,
)
from tests.bodies import NOW, UUID_TEXT, decoded_of, incoming


def decoded(*translations: Translation, sent_at: Any = None) -> Decoded:
    translator = Translator(incoming(b""), sent_at)
    return decoded_of(translator.draft(translations, lambda one: one, lambda _: None), "shop")


def translated(**fields: Any) -> Event:
    [event] = decoded(Translation(type="t", action="a", **fields)).events
    return event


def metadata_of(event: Event) -> Any:
    return json.loads(event.metadata)


@pytest.mark.parametrize(
    ("fields", "session", "user"),
    [
        ({}, NO_ACTOR, None),
        ({"user": "u"}, NO_SESSION, "u"),
        ({"anonymous": "a"}, NO_SESSION, "a"),
        ({"user": "u", "anonymous": "a", "session": "s"}, "s", "u"),
        ({"user": "", "anonymous": "a"}, NO_SESSION, "a"),
        ({"user": 7, "session": 1_700_000_000}, "7:1700000000", "7"),
        ({"user": "u", "anonymous": "a", "session": 1}, "a:1", "u"),
        ({"session": 1}, f"{NO_ACTOR}:1", None),
    ],
)
def test_the_actor_is_the_user_else_the_anonymous_and_a_numbered_session_is_theirs(
    fields: dict[str, Any], session: str, user: str | None
) -> None:
    event = translated(**fields)
    if session.startswith(NO_ACTOR + ":"):
        assert metadata_of(event)["$session_id"] == session
    else:
        assert event.session_id == session
    assert event.user_id == user


@pytest.mark.parametrize(("session", "kept"), [("x" * 64, True), ("x" * 65, False), ("$x", False)])
def test_a_session_that_we_cannot_hold_becomes_its_digest_and_stands_in_metadata(
    session: str, kept: bool
) -> None:
    event = translated(session=session)
    assert (event.session_id == session) is kept
    assert metadata_of(event) == ({} if kept else {"$session_id": session})
    assert len(event.session_id) == 64 or kept
    assert translated(session=session).session_id == event.session_id


def test_an_id_that_is_no_uuid_stands_in_metadata_too() -> None:
    assert metadata_of(translated(id="order-1")) == {"$id": "order-1"}
    assert metadata_of(translated(id=UUID_TEXT)) == {}
    assert translated(id=17).id == translated(id="17").id


def test_each_event_goes_where_its_key_opens_and_a_refused_key_costs_only_its_own() -> None:
    draft = Translator(incoming(b"")).draft(
        [None, "a", "gone", "b", "a", None],
        lambda _: Translation(type="t", action="a"),
        lambda key: key,
    )
    assert (draft.keys, draft.events) == ((None, "a", "gone", "b"), 6)
    gone = Unauthorized("this key has been revoked")
    result = draft.decode({None: "default", "a": "shop", "gone": gone, "b": "blog"})
    assert [event.project for event in result.events] == [
        "default",
        "shop",
        "blog",
        "shop",
        "default",
    ]
    assert [msgspec.structs.astuple(verdict) for verdict in result.rejected] == [
        (2, "unauthorized", None, "this key has been revoked")
    ]


def test_a_request_has_a_bounded_number_of_keys_to_look_up() -> None:
    def draft(keys: list[str]) -> Draft:
        return Translator(incoming(b"")).draft(
            keys, lambda _: Translation(type="t", action="a"), lambda key: key
        )

    keys = [str(number) for number in range(MAX_REQUEST_KEYS)]
    assert draft(keys * 2).keys == tuple(keys)
    with pytest.raises(TooLarge):
        draft([*keys, "one more"])


def test_each_event_may_be_sent_at_a_time_of_its_own_and_one_that_is_none_corrects_nothing() -> (
    None
):
    hour = timedelta(hours=1)
    wrong = (NOW - 5 * hour).isoformat()
    times = [(NOW - 4 * hour).isoformat(), None, "soon", {"at": 1}]
    events = decoded(
        *(Translation(type="t", action="a", time=wrong, sent_at=time) for time in times),
        sent_at=(NOW - 3 * hour).isoformat(),
    ).events
    assert [(NOW - event.timestamp) // hour for event in events] == [1, 2, 5, 5]
    assert [metadata_of(event) for event in events] == [{"$timestamp": wrong}] * 2 + [{}] * 2


def test_a_time_of_history_is_never_corrected() -> None:
    then, sent_at = (NOW - timedelta(days=9)).isoformat(), (NOW - timedelta(days=8)).isoformat()
    live, history = decoded(
        Translation(type="t", action="a", time=then, sent_at=sent_at),
        Translation(type="t", action="a", time=then, sent_at=sent_at, historical=True),
    ).events
    assert (NOW - live.timestamp, NOW - history.timestamp) == (timedelta(days=1), timedelta(days=9))
    assert metadata_of(history) == {}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "7"),
        (Decimal("1.50"), "1.50"),
        ("", None),
        (None, None),
        (True, True),
        (["x"], ["x"]),
        ("0", "0"),
    ],
)
def test_a_number_is_taken_for_its_text(value: Any, said: Any) -> None:
    assert text(value) == said
    assert type(text(value)) is type(said)


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("2026-11-02 10:00:00", "2026-11-02T10:00:00Z"),
        ("2026-11-02T10:00:00.123", "2026-11-02T10:00:00.123Z"),
        ("2026-11-02T10:00:00Z", "2026-11-02T10:00:00Z"),
        ("2026-11-02T10:00:00-08:00", "2026-11-02T10:00:00-08:00"),
        ("2026-11-02T10:00:00+0100", "2026-11-02T10:00:00+0100"),
        ("2026-11-02", "2026-11-02"),
        (" 1795438800123 ", 1_795_438_800_123),
        ("1795438800123.9", 1_795_438_800_123),
        ("1" * 29, int("1" * 29)),
        (Decimal("1795438800123.9"), 1_795_438_800_123),
        ("", None),
        (None, None),
        (True, True),
    ],
)
def test_a_time_without_an_offset_is_in_utc(given: Any, ours: Any) -> None:
    assert moment(given) == ours


@pytest.mark.parametrize("time", ["9" * 30, "9" * 5_000, "2026-13-02 10:00:00", True, {}])
def test_what_is_no_time_is_refused_by_name(time: Any) -> None:
    result = decoded(Translation(type="t", action="a", time=time))
    assert [(v.code, v.field) for v in result.rejected] == [("bad_timestamp", "timestamp")]


@pytest.mark.parametrize(
    ("value", "per_second", "at"),
    [
        (0, 1, datetime(1970, 1, 1, tzinfo=UTC)),
        ("1795438800.5", 1, datetime(2026, 11, 23, 13, 0, 0, 500_000, tzinfo=UTC)),
        (Decimal("1795438800123"), 1_000, datetime(2026, 11, 23, 13, 0, 0, 123_000, tzinfo=UTC)),
        (1_795_438_800_123_456, 10**6, datetime(2026, 11, 23, 13, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_a_number_of_units_is_a_moment(value: Any, per_second: int, at: datetime) -> None:
    assert since_epoch(value, per_second) == at


@pytest.mark.parametrize(
    "value", ["soon", "", None, [], {}, "NaN", "Infinity", "1e999999", 10**30, "9" * 31]
)
def test_what_is_no_number_comes_back_to_be_refused(value: Any) -> None:
    assert since_epoch(value, 1) is value


@pytest.mark.parametrize(
    ("properties", "context", "metadata"),
    [
        (None, {"$a": 1, "$b": None, "$c": "", "$d": {}, "$e": [], "$f": 0}, {"$a": 1, "$f": 0}),
        ({"x": None}, {"$a": 1}, {"x": None, "$a": 1}),
        ({"$a": 1, "x": 2}, {"$a": 1}, {"$a": 1, "x": 2}),
        ({"$a": 2, "x": 2}, {"$a": 1}, {"$a": 1, "x": 2, "$properties": {"$a": 2}}),
        ({"$a": 2}, {"$a": None}, {"$a": 2}),
        ("text", {"$a": 1}, {"$a": 1, "$properties": "text"}),
        ([], {}, {"$properties": []}),
    ],
)
def test_properties_and_context_stand_side_by_side_and_neither_hides_the_other(
    properties: Any, context: dict[str, Any], metadata: dict[str, Any]
) -> None:
    assert joined(properties, context) == metadata


def test_fields_get_the_names_that_metadata_has_for_them() -> None:
    assert renamed({"utm_source": "x", "other": 1}, {"utm_source": "$s", "gone": "$g"}) == {
        "$s": "x"
    }
    assert rest({"used": 1, "plain": 2, "$own": 3}, {"used"}) == {"$plain": 2, "$own": 3}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("$view", ("page", "view")),
        ("buy", ("track", "buy")),
        (None, ("track", None)),
        ([], ("track", [])),
    ],
)
def test_an_event_of_no_known_name_is_tracked_under_its_own(name: Any, kind: Any) -> None:
    assert kind_of(name, {"$view": ("page", "view")}) == kind


def test_an_item_that_is_no_object_is_refused_by_its_index() -> None:
    translator = Translator(incoming(b""))
    draft = translator.draft(
        [{}, 5],
        lambda one: Translation(type="t", action="a", properties=item(one)),
        lambda _: None,
    )
    result = decoded_of(draft)
    assert len(result.events) == 1
    assert [(v.index, v.code) for v in result.rejected] == [(1, "wrong_type")]
