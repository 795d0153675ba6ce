"""An event in the pipeline: what no step changes stays as it came."""

from analytics import pipeline
from tests.visits import SERVER, event


def test_every_digit_of_other_values_is_kept() -> None:
    [passed] = pipeline.run(
        [event(b'{"n":1.2345678901234567890123,"$url":"https://a.example/"}')], SERVER
    ).events
    assert b'"n":1.2345678901234567890123' in passed.metadata
