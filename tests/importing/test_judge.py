"""Lines become events, or are refused one by one; the same lines are the same events."""

import io
from datetime import UTC, datetime
from itertools import accumulate
from uuid import RFC_4122

import pytest

from analytics.events import event_id
from analytics.importing import judge as judge_module
from analytics.importing.judge import Judgement, judge, link
from analytics.importing.lines import InputLine, read
from analytics.protocols.protocol import MAX_VALUES, Decoded

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
GOOD = b'{"session_id":"s","event_type":"t","event_action":"a"}'
NAMED = b'{"session_id":"s","event_type":"t","event_action":"a","id":"order-1"}'


def lines_of(*texts: bytes) -> list[InputLine]:
    return list(read(io.BytesIO(b"\n".join(texts))))


def judged(*texts: bytes, start: bytes = b"") -> Judgement:
    lines = lines_of(*texts)
    chain = list(accumulate(lines, link, initial=start))[1:]
    return judge(lines, chain, NOW, "shop", 0)


def test_an_event_without_id_gets_one_from_all_lines_up_to_its_own() -> None:
    first, named, third = judged(GOOD, NAMED, GOOD).events
    assert (first.project, first.named, named.named) == ("shop", True, True)
    assert named.id == event_id("order-1")
    assert len({first.id, named.id, third.id}) == 3
    assert judged(GOOD, NAMED, GOOD).events == [first, named, third]
    assert judged(GOOD, start=b"other").events[0].id != first.id


def test_ids_of_lines_are_uuids_in_the_order_of_the_lines() -> None:
    ids = [event.id for event in judged(*[GOOD] * 300).events]
    assert ids == sorted(ids)
    assert {(one.version, one.variant) for one in ids} == {(8, RFC_4122)}
    again = judged(*[GOOD] * 300).events
    assert [event.id for event in again] == ids


def test_the_end_of_a_line_is_no_part_of_what_it_says() -> None:
    [unix], [windows], [last], [spaced] = (
        list(read(io.BytesIO(data))) for data in (b"{}\n", b"{}\r\n", b"{}", b"{} \n")
    )
    assert link(b"", unix) == link(b"", windows) == link(b"", last) != link(b"", spaced)


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        (b"{", "not_json", None),
        (GOOD + b"," + GOOD, "not_json", None),
        (b'{"a":\xff}', "not_json", None),
        (b'{"session_id":"\xff"}', "bad_character", "session_id"),
        (b"[" * 100_000, "not_json", None),
        (b"[]", "wrong_type", None),
        (b'{"session_id":"s","event_type":"t"}', "missing", "event_action"),
    ],
)
def test_a_line_that_is_no_event_is_refused_and_its_neighbours_are_taken(
    text: bytes, code: str, field: str | None
) -> None:
    judgement = judged(NAMED, text, GOOD)
    assert [event.event_action for event in judgement.events] == ["a", "a"]
    [(line, flaw)] = judgement.rejected
    assert (line.number, line.raw.rstrip(), flaw.code, flaw.field) == (2, text, code, field)


def test_each_of_many_bad_lines_is_named_by_its_own_number() -> None:
    judgement = judged(b"{", GOOD, b"[]", b"}", NAMED, b"5")
    assert [(line.number, flaw.code) for line, flaw in judgement.rejected] == [
        (1, "not_json"),
        (3, "wrong_type"),
        (4, "not_json"),
        (6, "wrong_type"),
    ]
    assert len(judgement.events) == 2


def test_every_line_over_a_limit_is_named_however_many_there_are() -> None:
    large = b'{"session_id":"s","event_type":"t","event_action":"a","metadata":{"a":"%b"}}'
    texts = [large % (b"x" * n) for n in range(300)]
    lines = lines_of(*texts)
    chain = list(accumulate(lines, link, initial=b""))[1:]
    judgement = judge(lines, chain, NOW, "shop", 0, max_event_bytes=100)
    assert len(judgement.events) == 100 - len('{"a":""}') + 1
    assert [line.number for line, _ in judgement.rejected] == [*range(94, 301)]
    assert {(flaw.code, flaw.field) for _, flaw in judgement.rejected} == {("too_long", "metadata")}
    assert judgement.rejected[0][1].message == "metadata has 101 bytes, MAX_EVENT_BYTES allows 100"


def test_a_line_with_a_flaw_of_its_own_is_not_judged() -> None:
    lines = lines_of(GOOD, GOOD)
    flawed = InputLine(9, 9, 9, GOOD, GOOD, flaw=judged(b"{").rejected[0][1])
    judgement = judge([lines[0], flawed], [b"1" * 32, b"2" * 32], NOW, "shop", 0)
    assert len(judgement.events) == 1
    assert judgement.rejected == [(flawed, flawed.flaw)]
    assert judge([flawed], [b"1" * 32], NOW, "shop", 0).events == []


def test_good_lines_are_decoded_as_one_body(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Decoded:
        raise AssertionError("each line was decoded by itself")

    monkeypatch.setattr(judge_module, "_one_by_one", refuse)
    judgement = judged(GOOD, b" " + NAMED + b"\r", b'{"session_id":1}')
    assert (len(judgement.events), len(judgement.rejected)) == (2, 1)


def test_a_line_of_too_many_values_costs_no_other() -> None:
    many = GOOD[:-1] + b',"metadata":{"l":[' + b"1," * MAX_VALUES + b"1]}}"
    judgement = judged(GOOD, many, GOOD)
    assert len(judgement.events) == 2
    [(line, flaw)] = judgement.rejected
    assert (line.number, flaw.code) == (2, "too_large")
