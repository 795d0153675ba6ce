"""`--map` and `--set`: the same options make the same events of NDJSON and of CSV."""

import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from analytics.importing.mapping import Mapping, put
from tests.importing.test_importer import FakeQueue, ndjson, rejected, run

BASE = {"session_id": "s", "event_type": "t", "event_action": "a"}


class Case(NamedTuple):
    """A line, the options, and the event: its fields and its metadata as `metadata`."""

    line: dict[str, Any]
    options: list[str]
    event: dict[str, Any]


CASES = {
    "a_field": Case({"v": "ada"}, ["--map v=user_id"], {"user_id": "ada"}),
    "an_own_field_of_that_name": Case(
        {"user_id": "own", "v": "ada"}, ["--map v=user_id"], {"user_id": "ada"}
    ),
    "an_own_field_mapped_away": Case(
        {"user_id": "ada"}, ["--map user_id=metadata.old"], {"metadata": {"old": "ada"}}
    ),
    "nothing_in_the_mapped_field": Case(
        {"user_id": "own", "v": None}, ["--map v=user_id"], {"user_id": "own"}
    ),
    "the_last_of_two_that_has_a_value": Case(
        {"v": "ada", "w": None}, ["--map v=user_id", "--map w=user_id"], {"user_id": "ada"}
    ),
    "one_field_as_two": Case(
        {"v": "ada"},
        ["--map v=session_id", "--map v=user_id"],
        {"session_id": "ada", "user_id": "ada"},
    ),
    "two_fields_exchanged": Case(
        {"session_id": "ada", "user_id": "s"},
        ["--map session_id=user_id", "--map user_id=session_id"],
        {"session_id": "s", "user_id": "ada"},
    ),
    "a_value_beside_an_object_first": Case(
        {"price": 9.9, "props": {"a": 1}},
        ["--map price=metadata.price", "--map props=metadata"],
        {"metadata": {"a": 1, "price": 9.9}},
    ),
    "a_value_beside_an_object_last": Case(
        {"price": 9.9, "props": {"a": 1}},
        ["--map props=metadata", "--map price=metadata.price"],
        {"metadata": {"a": 1, "price": 9.9}},
    ),
    "a_value_before_the_same_in_an_object": Case(
        {"price": 9.9, "props": {"price": 1}},
        ["--map price=metadata.price", "--map props=metadata"],
        {"metadata": {"price": 9.9}},
    ),
    "a_value_beside_null": Case(
        {"price": 9.9, "props": None},
        ["--map price=metadata.price", "--map props=metadata"],
        {"metadata": {"price": 9.9}},
    ),
    "a_value_beside_the_word_null": Case(
        {"metadata": "null", "props": {"a": 1}},
        ["--map props=metadata"],
        {"metadata": {"a": 1}},
    ),
    "two_objects": Case(
        {"props": {"a": 1, "b": 1}, "context": {"b": 2}},
        ["--map props=metadata", "--map context=metadata"],
        {"metadata": {"a": 1, "b": 2}},
    ),
    "an_object_beside_our_own": Case(
        {"metadata": {"a": 1, "b": 1}, "props": {"b": 2}},
        ["--map props=metadata"],
        {"metadata": {"a": 1, "b": 2}},
    ),
    "a_constant_before_a_field": Case(
        {"v": "ada"}, ["--map v=user_id", "--set user_id=bob"], {"user_id": "bob"}
    ),
    "constants_are_read_as_cells": Case(
        {},
        [
            *("--set metadata.n=5", "--set metadata.t=TRUE", "--set metadata.z=null"),
            *("--set metadata.l=[1,2.50]", "--set metadata.s=007", "--set metadata.x=a=b"),
        ],
        {"metadata": {"n": 5, "t": True, "z": None, "l": [1, 2.5], "s": "007", "x": "a=b"}},
    ),
    "a_constant_object_and_values": Case(
        {"metadata": {"a": 1, "b": 1, "c": 1}},
        ["--set metadata.c=3", '--set metadata={"b":2,"c":2}'],
        {"metadata": {"a": 1, "b": 2, "c": 3}},
    ),
    "a_constant_time": Case(
        {}, ["--set timestamp=1793527200"], {"timestamp": "2026-11-01T10:00:00+00:00"}
    ),
}


def mapping(options: list[str]) -> Mapping:
    words = [option.split(" ", 1) for option in options]
    pairs = [(kind, *pair.partition("=")[::2]) for kind, pair in words]
    return Mapping.of(
        [(one, other) for kind, one, other in pairs if kind == "--map"],
        [(one, other) for kind, one, other in pairs if kind == "--set"],
    )


def written(path: Path, line: dict[str, Any]) -> None:
    """Write a file of one line in the format that its name says."""
    if path.suffix == ".ndjson":
        values = {name: None if value == "null" else value for name, value in line.items()}
        path.write_bytes(ndjson(values))
        return
    cells = [
        "" if value is None else value if isinstance(value, str) else json.dumps(value)
        for value in line.values()
    ]
    table = io.StringIO()
    csv.writer(table).writerows([list(line), cells])
    path.write_text(table.getvalue())


@pytest.mark.parametrize("format", ["ndjson", "csv"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_options_make_the_same_event_of_a_line_and_of_a_row(
    tmp_path: Path, case: Case, format: str
) -> None:
    path, queue = tmp_path / f"events.{format}", FakeQueue()
    written(path, BASE | case.line)
    await run(path, queue, mapping=mapping(case.options))
    assert rejected(path) == []
    [event] = queue.events
    found: dict[str, Any] = {
        **{name: getattr(event, name) for name in (*BASE, "user_id")},
        "metadata": json.loads(event.metadata),
        "timestamp": event.timestamp.isoformat(),
    }
    assert found == {**found, **BASE, "user_id": None, "metadata": {}, **case.event}


@pytest.mark.parametrize("format", ["ndjson", "csv"])
@pytest.mark.parametrize("props", ["text", [1], 5])
async def test_metadata_that_is_no_object_is_refused_and_nothing_hides_it(
    tmp_path: Path, format: str, props: Any
) -> None:
    path, queue = tmp_path / f"events.{format}", FakeQueue()
    written(path, BASE | {"price": 1, "props": props})
    options = mapping(["--map props=metadata", "--map price=metadata.price", "--set metadata.a=1"])
    await run(path, queue, mapping=options)
    [refused] = rejected(path)
    assert (refused["code"], refused["field"]) == ("wrong_type", "metadata")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("metadata.e=", "metadata.e= has no value"),
        ("user_id=", "user_id= has no value"),
        ("metadata=5", "metadata: metadata must be an object"),
        ("metadata=word", "metadata: metadata must be an object"),
        ('metadata.a=["\\u0000"]', r"metadata.a: this value has a NUL"),
        ("metadata.a=[1e999]", "metadata.a: this value has a number beyond"),
        ("session_id=" + "x" * 65, "session_id: session_id has 65 characters"),
        ("timestamp=soon", "timestamp: timestamp must be a date and time"),
        ("timestamp=2026-11-01", "timestamp: timestamp has no offset; --tz says"),
    ],
)
def test_a_constant_that_no_event_may_have_is_refused_at_once(option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mapping([f"--set {option}"])


def test_a_constant_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="user_id stands twice"):
        mapping(["--set user_id=ada", "--set user_id=ada"])


def test_a_field_may_be_mapped_away_whose_constant_is_none() -> None:
    assert mapping(["--map session_id=user_id", "--set event_type=t"]).event(BASE) == {
        "event_type": "t",
        "event_action": "a",
        "user_id": "s",
    }


def test_nothing_that_a_line_holds_is_changed_in_place() -> None:
    props = {"a": 1}
    event: dict[str, Any] = {"metadata": props}
    put(event, "metadata.b", 2)
    assert (props, event) == ({"a": 1}, {"metadata": {"a": 1, "b": 2}})


def test_a_field_that_no_line_has_is_told() -> None:
    options = mapping(["--map v=user_id", "--map w=metadata.w"])
    assert options.missing(options.found({"w": None})) == ["v"]
    assert options.found([]) == set()
