"""From other products' fields to ours: actors, sessions, times, and metadata that loses nothing."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from analytics import events
from analytics.errors import TooLarge, Unauthorized
from analytics.events import NO_ACTOR, NO_SESSION, Event
from analytics.protocols.fields import item
from analytics.protocols.protocol import MAX_REQUEST_KEYS, Decoded, Draft
from analytics.protocols.translate import Translation, Translator
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


@pytest.mark.parametrize("time", ["9" * 30, "9" * 5_000, "2026-13-02 10:00:00", True, {}])
def test_what_is_no_time_is_refused_by_name(time: Any) -> None:
    result = decoded(Translation(type="t", action="a", time=time))
    assert [(v.code, v.field) for v in result.rejected] == [("bad_timestamp", "timestamp")]


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


def test_what_a_request_says_once_is_measured_before_it_is_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: Any) -> Translation:
        raise AssertionError("it was copied")

    monkeypatch.setattr(events, "MAX_REQUEST_BYTES", 1_000)
    translator = Translator(incoming(b""))
    for count in (1, 9):
        assert translator.draft([{}] * count, refuse, lambda _: None, {"x": "y" * 90})
    with pytest.raises(TooLarge, match="1000 bytes"):
        translator.draft([{}] * 11, refuse, lambda _: None, {"x": "y" * 90})


def test_all_events_together_have_so_much_metadata_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    each = Translation(type="t", action="a", properties={"x": "y" * 92})
    made: list[Translation] = []
    monkeypatch.setattr(events, "MAX_REQUEST_BYTES", 1_000)
    assert len(decoded(*[each] * 10).events) == 10

    def watched(one: Translation) -> Translation:
        made.append(one)
        return one

    draft = Translator(incoming(b"")).draft([each] * 99, watched, lambda _: None)
    with pytest.raises(TooLarge, match="1000 bytes"):
        decoded_of(draft)
    assert len(made) == 11


def test_no_two_times_of_sending_are_compared_whatever_their_hashes() -> None:
    """A sender can choose thousands of numbers with one hash: multiples of 2**61 - 1."""
    compared = 0

    class Number(int):
        def __hash__(self) -> int:
            return 0

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return int(self) == other

    now = int(NOW.timestamp() * 1000)
    sent = [Translation(type="t", action="a", sent_at=Number(now + i)) for i in range(1_000)]
    assert len(decoded(*sent).events) == 1_000
    assert compared < 10_000  # each with each would be half a million
