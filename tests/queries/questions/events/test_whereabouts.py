"""Where the events are that carry one id."""

import json
import re
import uuid
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy.dialects.postgresql import asyncpg

from analytics.events import Event, IdSearch, event_id, pack
from analytics.queries.questions.events import whereabouts
from analytics.tables import dead_letters
from tests.queries.asker import Asker
from tests.queries.oracle import Row
from tests.queries.simple import row
from tests.stores.conftest import an_event


async def status(asker: Asker, id_: str) -> dict[str, Any]:
    data = (await asker.ask("/events/{id:path}", id=id_))["data"]
    assert isinstance(data, dict)
    return data


async def test_a_stored_event_is_found_by_either_form_of_its_id(asker: Asker) -> None:
    named, plain = row("2026-11-02"), row("2026-11-02")
    await asker.hold([Row(event_id("order/42"), named.timestamp, "s", None, "e", "a", {}), plain])
    for id_, stored in (("order/42", event_id("order/42")), (str(plain.id).upper(), plain.id)):
        data = await status(asker, id_)
        assert data["status"] == "stored"
        assert isinstance(data["event"], dict)
        assert data["event"]["id"] == str(stored)


async def test_an_event_that_nobody_sent_is_unknown(asker: Asker) -> None:
    await asker.hold([])
    assert await status(asker, "nobody") == {"status": "unknown"}


async def test_a_dead_letter_says_why_until_it_is_stored_after_all(asker: Asker) -> None:
    dead = row("2026-11-02")
    await asker.hold([])
    columns = ", ".join(column.name for column in dead_letters.c if column.name != "number")
    await asker.connection.execute(
        f"insert into dead_letters ({columns})"
        " values ('default', $1, 'j', 1, 'numeric', 'too large', '', now())",
        dead.id,
    )
    data = await status(asker, str(dead.id))
    assert (data["status"], data["reason"], data["message"]) == (
        "dead_lettered",
        "numeric",
        "too large",
    )
    await asker.add([dead])
    assert (await status(asker, str(dead.id)))["status"] == "stored"


async def _bury(asker: Asker, event: Event, project: str = "default") -> None:
    """Make a dead letter of an event."""
    columns = ", ".join(column.name for column in dead_letters.c if column.name != "number")
    await asker.connection.execute(
        f"insert into dead_letters ({columns})"
        " values ($3, $1, 'j', 1, 'numeric', 'too large', $2, now())",
        event.id,
        pack([event]),
        project,
    )


def carrying(own: str, day: str, id_: UUID | None = None) -> Row:
    """A row whose sender gave it an id from which the stored one does not follow."""
    plain = row(day)
    return Row(id_ or plain.id, plain.timestamp, "s", None, "e", "a", {"$id": own, "n": 1})


async def test_a_senders_own_id_finds_all_events_that_carry_it_newest_first(asker: Asker) -> None:
    own = str(uuid.uuid4())
    first, second = carrying(own, "2026-11-02"), carrying(own, "2026-11-04")
    native = Row(UUID(own), row("2026-11-03").timestamp, "s", None, "e", "a", {})
    others = [carrying("another", "2026-11-02"), row("2026-11-02")]
    nested = Row(row("2026-11-02").id, first.timestamp, "s", None, "e", "a", {"a": {"$id": own}})
    await asker.hold([first, native, second, *others, nested])
    data = await status(asker, own)
    assert data["status"] == "stored"
    found: list[Any] = [data, *data["others"]]
    assert [place["event"]["id"] for place in found] == [
        str(one.id) for one in (second, native, first)
    ]
    assert {place["status"] for place in found} == {"stored"}
    alone = await status(asker, str(first.id))
    assert (alone["event"]["id"], "others" in alone) == (str(first.id), False)
    assert (await status(asker, 'order/ü "1" \\\\'))["status"] == "unknown"


async def test_a_uuid_finds_its_events_in_any_case_also_those_of_releases_that_kept_it(
    asker: Asker,
) -> None:
    own = str(uuid.uuid4())
    await asker.hold([carrying(own, "2026-11-04"), carrying(own.upper(), "2026-11-02")])
    dead = an_event(metadata=msgspec.json.encode({"$id": own.upper()}))
    await _bury(asker, dead)
    for spelling in (own, own.upper(), own[:20] + own[20:].upper()):
        data = await status(asker, spelling)
        found: list[Any] = [data, *data["others"]]
        assert [place["status"] for place in found] == ["stored", "stored", "dead_lettered"]
        assert found[0]["event"]["timestamp"][:10] == "2026-11-04"
    await asker.connection.execute("truncate dead_letters")


async def test_a_row_that_carries_its_id_twice_is_one_event(asker: Asker) -> None:
    await asker.hold([carrying("m-1", "2026-11-02", event_id("m-1"))])
    assert "others" not in await status(asker, "m-1")


async def test_one_answer_shows_a_bounded_number_of_events(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whereabouts, "MOST", 3)
    await asker.hold([carrying("same", f"2026-11-0{day}") for day in range(1, 8)])
    data = await status(asker, "same")
    shown: list[Any] = [data, *data["others"]]
    assert [place["event"]["timestamp"][:10] for place in shown] == [
        "2026-11-07",
        "2026-11-06",
        "2026-11-05",
    ]


async def test_a_dead_letter_is_found_by_its_senders_own_id_too(asker: Asker) -> None:
    own = "i-1"
    dead = an_event(metadata=msgspec.json.encode({"a": 1, "$id": own}))
    stored = carrying(own, "2026-11-02")
    await asker.hold([stored])
    for project in ("default", "other"):
        await _bury(asker, dead, project)
    data = await status(asker, own)
    assert (data["status"], len(data["others"])) == ("stored", 1)
    assert {
        name: value for name, value in data["others"][0].items() if name in ("status", "id")
    } == {"status": "dead_lettered", "id": str(dead.id)}
    await asker.connection.execute("truncate dead_letters")


async def test_rows_are_found_by_indexes_however_many_there_are(asker: Asker) -> None:
    await asker.hold([])
    await asker.connection.execute(
        "insert into raw_events (session_id, event_type, event_action, metadata, timestamp)"
        " select 's', 'e', 'a', jsonb_build_object('$id', n::text, 'x', repeat('x', 300)),"
        " '2026-11-02'::timestamptz + n * interval '1 second' from generate_series(1, 20000) as n"
    )
    await asker.connection.execute("analyze raw_events")
    query = whereabouts.OneEvent(project="default", id="17")
    compiled = whereabouts.carriers(query, IdSearch("default", "17")).compile(
        dialect=asyncpg.dialect()  # type: ignore[no-untyped-call]
    )
    given = [compiled.params[name] for name in compiled.positiontup or ()]
    values = [json.dumps(value) if isinstance(value, dict) else value for value in given]
    plan = await asker.connection.fetchval(f"explain (analyze, format json) {compiled}", *values)
    passed_over = re.findall(r'"Rows Removed by (?:Filter|Index Recheck)": (\d+)', plan)
    assert "idx_raw_events_metadata" in plan or "metadata_idx" in plan
    assert sum(map(int, passed_over)) < 100
    assert (await status(asker, "17"))["status"] == "stored"
