"""Dead letters can be listed, decoded and purged; unreadable jobs are buried once."""

from datetime import timedelta
from typing import Any

import pytest

from analytics.events import Outcome, pack
from analytics.stores import PostgresStore
from analytics.stores.writing import dead_letters
from tests.stores.conftest import NOW, a_job, an_event


async def fill(store: PostgresStore, n: int, **changes: Any) -> None:
    changes = {"metadata": b'{"a":"\\u0000"}', **changes}
    await store.write([a_job(*(an_event(**changes) for _ in range(n)))])


async def test_a_page_begins_after_the_last_one(store: PostgresStore) -> None:
    await fill(store, 5)
    first = await store.dead_letters.page(limit=3)
    second = await store.dead_letters.page(limit=3, after=first[-1].number)
    assert [letter.number for letter in first + second] == [
        letter.number async for letter in store.dead_letters.all()
    ]
    assert len(first) == 3
    assert len(second) == 2


async def test_a_page_is_cut_short_by_bytes_and_nothing_is_left_out(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [10, 3_000, 10, 10, 900, 900, 900, 5_000, 10]
    for size in sizes:
        await fill(store, 1, metadata=b'{"a":"\\u0000%s"}' % (b"x" * size))
    monkeypatch.setattr(dead_letters, "PAGE_BYTES", 2_000)
    letters = [letter async for letter in store.dead_letters.all()]
    assert len(letters) == len(sizes)
    pages = [await store.dead_letters.page()]
    while pages[-1]:
        pages.append(await store.dead_letters.page(after=pages[-1][-1].number))
    assert [letter.number for page in pages for letter in page] == [
        letter.number for letter in letters
    ]
    assert all(sum(len(letter.payload) for letter in page[:-1]) < 2_000 for page in pages)
    assert len(pages) > 4


async def test_dead_letters_are_found_by_project_and_reason(store: PostgresStore) -> None:
    await fill(store, 1)
    await fill(store, 2, project="other")
    assert len(await store.dead_letters.page(project="other")) == 2
    assert len(await store.dead_letters.page(reason="untranslatable_character")) == 3
    assert await store.dead_letters.page(project="other", reason="unknown") == []


async def test_purging_takes_the_numbers_or_the_age_asked_for(store: PostgresStore) -> None:
    await fill(store, 4)
    one, *_ = await store.dead_letters.page()
    assert await store.dead_letters.purge(numbers=[one.number]) == 1
    assert await store.dead_letters.purge(before=NOW - timedelta(days=1)) == 0
    assert await store.dead_letters.purge() == 3
    assert await store.dead_letters.count() == 0


async def test_a_job_that_nobody_can_read_is_buried_once(store: PostgresStore) -> None:
    for _ in range(2):
        await store.bury("job.7", 7, b"\x00\xff", "bad\0body", "it is \0 not msgpack")
    (letter,) = await store.dead_letters.page()
    assert (letter.job_id, letter.events, letter.reason, letter.payload) == (
        "job.7",
        7,
        "bad�body",
        b"\x00\xff",
    )
    assert letter.decode() is None
    assert await store.dead_letters.count() == 7
    recorded = await store.write([a_job(an_event(), id="job.7")])
    assert recorded.outcomes == [Outcome(dead_lettered=7)]


async def test_an_event_that_is_buried_has_its_project_and_id_and_can_be_replayed(
    store: PostgresStore,
) -> None:
    event = an_event(project="shop")
    await store.bury("job.1", 1, pack([event]), "too_slow", "it took too long")
    [letter] = await store.dead_letters.page(project="shop")
    assert (letter.event_id, letter.events) == (event.id, 1)
    assert letter.decode() == [event]
