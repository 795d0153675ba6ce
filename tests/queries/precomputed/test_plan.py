"""Plans: what rollups can answer, and that each event is in one of the rows that are read."""

import sqlite3
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from analytics.derived.cells import ANY
from analytics.queries.language.fields import By, Field, MetadataKeys, Several
from analytics.queries.language.filters import EventFilter, Where
from analytics.queries.language.query import FilteredQuery
from analytics.queries.precomputed.plan import raw_plan, rollup_plan
from tests.examples import examples

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC)


def query(*where: str, event: str = "*") -> FilteredQuery:
    return FilteredQuery(
        project="p",
        start=START,
        end=END,
        event=EventFilter.read(event),
        where=tuple(map(Where.read, where)),
    )


def by_(text: str) -> By:
    fields = tuple(map(Field.read, text.split(",")))
    return fields[0] if len(fields) == 1 else Several(fields)


@pytest.mark.parametrize(
    ("by", "where", "key"),
    [
        (None, (), ANY),
        ("event_type,event_action", (), ANY),
        ("metadata.k", (), "k"),
        (None, ("metadata.k.eq.a", "metadata.k.unset"), "k"),
        ("event_type", ("metadata.k.ncontains.a",), "k"),
        ("metadata.k,metadata.l", (), None),
        ("metadata.k", ("metadata.l.set",), None),
        ("metadata.k.l", (), None),
        ("user_id", (), None),
        ("session_id,event_type", (), None),
        (None, ("event_type.eq.a",), None),
        (None, ("metadata.k.gt.1",), None),
        (None, ("metadata.k.re.a",), None),
    ],
)
def test_rollups_answer_for_types_actions_and_one_key(
    by: str | None, where: tuple[str, ...], key: str | None
) -> None:
    plan = rollup_plan(query(*where), by_(by) if by else None)
    assert (plan and plan.key) == key


def test_keys_of_metadata_are_in_no_rollup_and_people_are_in_no_cell() -> None:
    assert rollup_plan(query(), MetadataKeys()) is None
    assert raw_plan(query(), MetadataKeys()) is not None
    for people in ("user_id", "session_id", "event_type,user_id"):
        assert raw_plan(query(), by_(people)) is None


def test_plans_of_the_same_cells_have_the_same_name_and_others_another() -> None:
    def name(text: str | None, *where: str, event: str = "*") -> object:
        plan = rollup_plan(query(*where, event=event), by_(text) if text else None)
        assert plan
        return plan.name

    assert (
        name("metadata.k") == name(None, "metadata.k.eq.a") == name("metadata.k", "metadata.k.set")
    )
    assert name("event_type,event_action") == name("event_action")
    assert name(None, event="a,b") == name(None, event="b,a")
    names = [name(None), name("event_type"), name("event_action"), name("metadata.k")]
    names += [name("metadata.l"), name(None, event="a"), name(None, event="a:x")]
    assert len(set(names)) == len(names)


def test_a_value_passes_if_it_passes_all_filters_and_groups_are_made_of_the_cell() -> None:
    plan = rollup_plan(
        query("metadata.k.ne.a", "metadata.k.contains.b"), by_("metadata.k,event_type")
    )
    assert plan
    assert [plan.passes(value) for value in ("a", "ab", "c", None)] == [False, True, False, False]
    assert plan.group("t", "x", "é") == '["é", "t"]'
    assert plan.group("t", "x", None) == '[null, "t"]'


names = st.sampled_from(["*", "a", "b"])
filters = st.lists(st.tuples(names, st.sampled_from(["*", "x", "y"])), min_size=1, max_size=4)


@examples(300)
@given(pairs=filters, by=st.sampled_from([None, "event_type", "event_action", "metadata.k"]))
def test_each_event_asked_for_is_in_one_row_that_is_read_and_no_other_is(
    pairs: list[tuple[str, str]], by: str | None
) -> None:
    """Each event is in three rows: of its type and action, of its type, and of any event."""
    events = ",".join(":".join(pair) for pair in pairs)
    plan = rollup_plan(query(event=events), by_(by) if by else None)
    assert plan
    condition = plan.condition.compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    with sqlite3.connect(":memory:") as database:
        database.execute("create table rollups (event_type, event_action)")
        for type_ in "abc":
            for action in "xyz":
                database.execute("delete from rollups")
                rows = [(ANY, ANY), (type_, ANY), (type_, action)]
                database.executemany("insert into rollups values (?, ?)", rows)
                read = database.execute(f"select * from rollups where {condition}").fetchall()
                assert len(read) == plan.is_event(type_, action), (type_, action, str(condition))
                if by and by.startswith("event"):
                    assert all(row[by == "event_action"] for row in read)
