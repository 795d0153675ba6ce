"""One filter, two readers: SQL over rows and Python over events must agree."""

import random
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
from sqlalchemy import insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from analytics.events import Event
from analytics.protocols import native
from analytics.protocols.metadata import encode, parse
from analytics.queries.language import matching
from analytics.queries.language.filters import EventFilter, Where
from analytics.queries.language.matching import Filter, View
from analytics.queries.language.work import Work
from analytics.tables import metadata, raw_events

VALUES = (
    '"pro"', '"Pro"', '"free"', '""', '"a,b"', '"é€😀"', '"3"', "3", "3.0", "3.10", "-0", "-0.0",
    "3e2", "1E-3", "12345678901234567890123", "0.1", "true", "false", "null", "{}", "[]",
    '{"b": 1, "aa": [1, "x\\n\\u0001\\"\\\\/é", null, true], "a": {"k": 1.50}}', '["pro"]',
    '{"pro": "x"}', '"line\\nbreak"',
)  # fmt: skip

WHERE = (
    "event_type.eq.page", "event_type.ne.page", "event_action.in.view,click", "user_id.set",
    "user_id.unset", "user_id.eq.u1", "user_id.ne.u1", "user_id.nin.u1,u2", "user_id.contains.u",
    "session_id.re.^s[12]$", "user_id.re.2", "event_type.gt.3", "metadata.plan.set",
    "metadata.plan.unset", "metadata.plan.eq.pro", "metadata.plan.ne.pro",
    "metadata.plan.in.pro,free", "metadata.plan.nin.pro,free", "metadata.plan.eq.",
    "metadata.plan.eq.a%2Cb", "metadata.plan.eq.3", "metadata.plan.eq.3.0", "metadata.plan.eq.300",
    "metadata.plan.eq.0.001", "metadata.plan.eq.0", "metadata.plan.eq.-0", "metadata.plan.eq.0.0",
    "metadata.plan.eq.true", "metadata.plan.eq.{}", "metadata.plan.eq.[]", "metadata.plan.eq.null",
    "metadata.plan.contains.r", "metadata.plan.contains.", "metadata.plan.ncontains.r,e",
    "metadata.plan.contains.%22k%22: 1.50", "metadata.plan.contains.%5C%22",
    "metadata.plan.contains./é", "metadata.plan.contains.u0001", "metadata.plan.re.^p",
    "metadata.plan.re.^P?ro", "metadata.plan.re.^[0-9.]+$", "metadata.plan.re.k.:",
    "metadata.plan.gt.2", "metadata.plan.gte.3", "metadata.plan.lt.3.1", "metadata.plan.lte.3.1",
    "metadata.plan.gt.1e20", "metadata.plan.lt.0.2", "metadata.plan.pro.set",
    "metadata.plan.pro.eq.x", "metadata.plan.a.k.gte.1.5", "metadata.plan.a.k.eq.1.50",
    "metadata.plan.0.set", "metadata.plan.aa.set", "metadata.other.set", "metadata.a%2Eb.eq.dot",
)  # fmt: skip

EVENTS = (
    "*",
    "page",
    "page:view",
    "*:click",
    "page:view,*:click",
    "engagement",
    "a%3Ab:c%2Cd",
    "%2A",
    "*:*",
)


def some_events() -> list[Event]:
    rng = random.Random(7)
    now = datetime.now(UTC)
    documents = [
        "{}",
        '{"a.b": "dot"}',
        *(f'{{"plan": {value}}}' for value in VALUES),
        '{"plan": 1, "plan": "pro"}',
    ]
    return [
        Event(
            "shop", uuid.uuid4(), rng.choice(["s1", "s2", "s3"]),
            rng.choice([None, "u1", "u2", ""]), rng.choice(["page", "engagement", "a:b", "*"]),
            rng.choice(["view", "click", "c,d"]), document.encode(), now, now,
        )
        for document in documents * 4
    ]  # fmt: skip


EXAMPLES = some_events()


@pytest.fixture(scope="module")
async def rows(postgres_server: object) -> AsyncIterator[AsyncConnection]:
    from tests import servers

    with servers.database(postgres_server) as url:  # type: ignore[arg-type]
        engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
        async with engine.connect() as connection:
            await connection.run_sync(metadata.create_all, tables=[raw_events])
            fields = [name for name in msgspec.structs.asdict(EXAMPLES[0]) if name in raw_events.c]
            for event in EXAMPLES:
                row = {name: getattr(event, name) for name in fields}
                await connection.execute(
                    insert(raw_events).values(row | {"metadata": raw_json(event.metadata)})
                )
            yield connection
        await engine.dispose()


def raw_json(document: bytes) -> object:
    """The document's own text, not one that Python has read and written again."""
    from sqlalchemy import Text, cast, literal
    from sqlalchemy.dialects.postgresql import JSONB

    return cast(literal(document.decode(), Text), JSONB)


@pytest.mark.parametrize("text", WHERE)
async def test_where_means_the_same_in_sql_and_in_memory(rows: AsyncConnection, text: str) -> None:
    where = Where.read(text)
    test = Filter(EventFilter.read("*"), [where])
    in_sql = {row.id for row in await rows.execute(select(raw_events.c.id).where(where.condition))}
    assert {event.id for event in EXAMPLES if test(View(event), Work())} == in_sql


@pytest.mark.parametrize("text", EVENTS)
async def test_event_means_the_same_in_sql_and_in_memory(rows: AsyncConnection, text: str) -> None:
    events = EventFilter.read(text)
    test = Filter(events, [])
    in_sql = {row.id for row in await rows.execute(select(raw_events.c.id).where(events.condition))}
    assert {event.id for event in EXAMPLES if test(View(event), Work())} == in_sql


def test_the_examples_tell_the_filters_apart() -> None:
    """Each filter takes some examples and leaves some, or there is a reason: else the comparison
    above would prove little.
    """
    always = {
        "metadata.other.set",
        "event_type.gt.3",
        "metadata.plan.0.set",
        "metadata.plan.eq.null",
        "metadata.plan.eq.-0",
    }
    for text in WHERE:
        test = Filter(EventFilter.read("*"), [Where.read(text)])
        taken = sum(test(View(event), Work()) for event in EXAMPLES)
        assert (0 < taken < len(EXAMPLES)) != (text in always), (text, taken)


SPELLINGS = {
    "30": ("30", "30.0", "30.00", "3e1", "300E-1"),
    "0": ("0", "-0", "-0.0", "0e7"),
    "12.5": ("12.5", "12.50", "1.25e1"),
    "0.0000001": ("1e-7", "0.00000010"),
    "12345678901234567890.25": ("12345678901234567890.25", "12345678901234567890.250"),
    "1" + "0" * 300: ("1e300", "10.0e299"),
}


@pytest.mark.parametrize("canonical", SPELLINGS, ids=lambda text: text[:30])
async def test_a_number_that_was_collected_has_one_text_in_sql_and_in_memory(
    rows: AsyncConnection, canonical: str
) -> None:
    now = datetime.now(UTC)
    field = Where.read("metadata.n.set").field
    for text in SPELLINGS[canonical]:
        body = f'{{"session_id":"s","event_type":"t","event_action":"a","metadata":{{"n":{text}}}}}'
        [fast] = native.decode(body.encode(), now, project="p").events
        careful = encode(parse(f'{{"n":{text}}}'))
        for event in (fast, msgspec.structs.replace(fast, metadata=careful)):
            in_sql = await rows.scalar(select(raw_json(event.metadata).op("->>")("n")))  # type: ignore[attr-defined]
            assert in_sql == matching.text(View(event).value(field)) == canonical
            passes = Filter(EventFilter.read("*"), [Where.read(f"metadata.n.eq.{canonical}")])
            assert passes(View(event), Work())


def test_all_conditions_must_hold() -> None:
    event = next(
        event for event in EXAMPLES if event.event_type == "page" and event.user_id == "u1"
    )
    assert Filter(EventFilter.read("page"), [Where.read("user_id.eq.u1")])(View(event), Work())
    assert not Filter(
        EventFilter.read("page"), [Where.read("user_id.eq.u1"), Where.read("user_id.eq.u2")]
    )(View(event), Work())
    assert not Filter(EventFilter.read("other"), [Where.read("user_id.eq.u1")])(View(event), Work())
