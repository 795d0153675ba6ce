"""Random query strings, for the api and for streams: a valid query, or an error with its parameter.

`make oracle` tries many more.
"""

import re
from datetime import UTC, datetime
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import AnalyticsError, BadRequest
from analytics.queries import QUESTIONS, Question
from analytics.queries.language.parameters import parameters, read
from analytics.roles.http.errors import status_of
from analytics.roles.realtime.server_sent import PARAMETERS, request_of
from tests.examples import examples
from tests.hostile.corpus import VALUES

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
PIECES = (
    b"metadata event_type event_action user_id session_id a * : , . @ %2C %3A %252E %00 %ff % "
    b"+ - ( ) [ A B/A*100 count users sum: p99: eq in re set unset gt ne 7d 30d 99999999999d "
    b"90m 1w 2026-11-01 2026-11-01T00:00:00Z 9999-12-31 Europe/Berlin UTC day month first on "
    b"ordered strict any user ndjson csv"
).split()
values = (
    st.sampled_from(list(VALUES.values()))
    | st.lists(st.sampled_from(PIECES), max_size=7).map(b"".join)
    | st.binary(max_size=12).map(lambda raw: quote_from_bytes(raw).encode())
)


def queries(names: list[bytes]) -> st.SearchStrategy[bytes]:
    pair = st.tuples(st.sampled_from(names) | st.binary(max_size=4), values).map(b"=".join)
    return st.lists(pair, max_size=6).map(b"&".join) | st.binary(max_size=60)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.path)
@examples(60)
@given(data=st.data())
def test_a_query_string_is_a_question_or_a_named_refusal(
    question: Question, data: st.DataObject
) -> None:
    query = data.draw(queries([name.encode() for name in parameters(question.query)]))
    path = {name: data.draw(st.text(max_size=8)) for name in re.findall(r"\{(\w+)", question.path)}
    try:
        asked = read(question.query, query, path, now=NOW, project="p")
    except BadRequest as error:
        assert error.field is not None  # noqa: PT017 - a refusal and a question are both right
    else:
        assert asked.resolved()
        assert isinstance(asked.patterns, list)


@examples(150)
@given(query=queries([name.encode() for name in PARAMETERS]))
def test_a_stream_s_query_string_is_a_subscription_or_a_refusal(query: bytes) -> None:
    try:
        assert request_of(query).id
    except AnalyticsError as error:
        assert 400 <= status_of(error) < 500  # noqa: PT017 - a refusal and a subscription are both right
