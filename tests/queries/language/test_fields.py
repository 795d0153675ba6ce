"""Fields: how they are named, and several as one."""

import pytest
from sqlalchemy import select

from analytics.queries.language.fields import MAX_KEYS, Field, Several, decode
from analytics.tables import raw_events
from tests.queries.asker import Asker
from tests.queries.simple import row


@pytest.mark.parametrize(
    ("text", "column", "keys"),
    [
        ("event_type", "event_type", ()),
        ("metadata.plan", "metadata", ("plan",)),
        ("metadata.cart.total", "metadata", ("cart", "total")),
        ("metadata.a%2Eb", "metadata", ("a.b",)),
        ("metadata.a%252Eb", "metadata", ("a%2Eb",)),
        ("metadata.%C3%A9", "metadata", ("é",)),
    ],
)
def test_a_field_is_a_column_or_a_path_into_metadata(
    text: str, column: str, keys: tuple[str, ...]
) -> None:
    assert Field.read(text) == Field(text, column, keys)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no such field"),
        ("timestamp", "no such field"),
        ("event_type.x", "no such field"),
        ("metadata", "metadata needs a key"),
        ("metadata.", "a key of metadata is empty"),
        ("metadata..b", "a key of metadata is empty"),
        ("metadata.a.", "a key of metadata is empty"),
        ("metadata.%ff", "not UTF-8"),
        ("metadata.%00", "NUL"),
    ],
)
def test_what_is_no_field_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Field.read(text)


def test_a_path_has_thirty_two_keys_at_most() -> None:
    assert len(Field.read("metadata" + ".a" * MAX_KEYS).keys) == MAX_KEYS
    with pytest.raises(ValueError, match="at most 32 keys deep"):
        Field.read("metadata" + ".a" * (MAX_KEYS + 1))


def test_a_value_is_decoded_once() -> None:
    assert [decode(text) for text in ("a+b", "%2541", "%41", "50%")] == ["a+b", "%41", "A", "50%"]


async def test_several_fields_as_one_are_written_alike_by_the_database_and_here(
    asker: Asker,
) -> None:
    """What rollups say and what raw rows say are added up by this text."""
    text = "".join(map(chr, range(1, 0x250))) + '\u2028\u2029\ufeff\uffff😀\x7f\\"/'
    await asker.hold(
        [row("2026-11-02", k=text), row("2026-11-02", k=None), row("2026-11-02", k="")]
    )
    field = Several((Field.read("metadata.k"), Field.read("event_type")))
    async with asker.engine.connect() as connection:
        texts = {
            key
            for (key,) in await connection.execute(
                select(field.value).where(raw_events.c.project == "default")
            )
        }
    assert texts == {Several.joined([value, "e"]) for value in (text, None, "")}
    assert sorted(map(Several.split, texts), key=str) == sorted(
        [[text, "e"], [None, "e"], ["", "e"]], key=str
    )
