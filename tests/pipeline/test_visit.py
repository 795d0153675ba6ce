"""An event in the pipeline: what no step changes stays as it came."""

from analytics import pipeline
from tests.visits import SERVER, event


def test_every_digit_of_other_values_is_kept() -> None:
    [passed] = pipeline.run(
        [event(b'{"n":1.2345678901234567890123,"$url":"https://a.example/"}')], SERVER
    ).events
    assert b'"n":1.2345678901234567890123' in passed.metadata


def test_every_digit_is_kept_beside_what_a_step_removes() -> None:
    number = b"1.2345678901234567890123,-12345678901234567890123"
    for removed in (b'"ip":"203.0.113.77"', b'"page":"https://ada:secret@a.example/"'):
        metadata = b'{"$set":{"n":[' + number + b"]," + removed + b"}}"
        [passed] = pipeline.run([event(metadata)], SERVER).events
        assert number in passed.metadata
        assert removed not in passed.metadata
