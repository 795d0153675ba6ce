"""Whatever is sent, the reply is one of ours, and no event is unstorable."""

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import AnalyticsError
from analytics.events import pack
from analytics.protocols import PROTOCOLS, Incoming, Protocol
from analytics.protocols.characters import unfit
from analytics.protocols.metadata import check, parse
from analytics.roles.http.errors import status_of
from tests.bodies import NOW, decoded_of
from tests.examples import examples
from tests.protocols.captured import collector

FOREIGN = [protocol for protocol in PROTOCOLS if protocol.name not in ("native", "pixel")]

WORDS = """
batch events data requests payload properties context traits type event name n u d p url domain
website userId anonymousId messageId timestamp sentAt sent_at originalTimestamp distinct_id
$distinct_id uuid offset token api_key $set $group_id $group_key $anon_distinct_id alias page
campaign library sessionId e se_ac ue_pr ue_px co cx eid dtm stm ttm uid duid sid aid event_type
event_properties user_properties user_id device_id session_id insert_id time client_upload_time
$insert_id $time $device_id $user_id $distinct_ids $identified_id client_id timestamp_micros
params idsite _id cdt search idgoal id source specversion historical_migration options props
revenue
""".split()  # noqa: SIM905 - a hundred quotes more would hide them
NAMES = [
    "track",
    "identify",
    "page",
    "group",
    "alias",
    "$identify",
    "$pageview",
    "$create_alias",
    "$merge",
    "$merge_dangerously",
    "$screen",
    "$groupidentify",
    "ue",
    "se",
]
NASTY = [
    "",
    "\x00",
    "\ud800",
    "9" * 400,
    "²",
    "1e400",
    "-1",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00",
    "iglu:a/b/c",
    "eyJ9",
    "%ff",
    "$device:",
    "x" * 300,
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NASTY + NAMES),
    st.text(max_size=8),
    st.integers(),
    st.sampled_from([10**18, -(10**18), 1e300, -1e300, 0.5, 10**290, -1]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)
messages = st.dictionaries(st.sampled_from(WORDS), values, max_size=12)
bodies = st.one_of(
    values,
    messages,
    st.lists(messages, max_size=3),
    st.builds(
        lambda inner, more, key: {**more, key: inner},
        st.lists(messages, max_size=3),
        messages,
        st.sampled_from(["batch", "events", "data", "requests"]),
    ),
)
QUERIES = [b"", b"_=1577836800000&ip=1", b"data=e30", b"project_id=%ff"]
WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "json": lambda text: text,
    "form": lambda text: b"verbose=1&data=" + quote_plus(text).encode(),
    "base64": base64.b64encode,
    "urlsafe": lambda text: b"data=" + base64.urlsafe_b64encode(text).rstrip(b"="),
    "cut": lambda text: text[:-1],
}


def answer(protocol: Protocol, path: str, body: bytes, query: bytes, **headers: str) -> None:
    """What the collector does with a request, without key and queue."""
    given_headers = {
        name.replace("_", "-").encode(): value.encode() for name, value in headers.items()
    }
    request = Incoming(query, given_headers, body, NOW, 0, path)
    protocol.claims(request)
    try:
        decoded = decoded_of(protocol.read(request))
        reply = protocol.accept(request, decoded, decoded.events)
        pack(decoded.events)
        for event in decoded.events:
            check(parse(event.metadata.decode()))
            assert 0 < len(event.session_id) <= 64
    except AnalyticsError as error:
        reply = protocol.refuse(error, status_of(error))
    assert 200 <= reply.status < 500
    reply.note.encode("ascii")


@pytest.mark.parametrize("protocol", FOREIGN, ids=[protocol.name for protocol in FOREIGN])
@examples(80)
@given(
    body=bodies,
    wrapping=st.sampled_from(list(WRAPPINGS)),
    query=st.sampled_from(QUERIES),
    data=st.data(),
)
def test_no_json_breaks_a_protocol(
    protocol: Protocol, body: Any, wrapping: str, query: bytes, data: st.DataObject
) -> None:
    text, path = json.dumps(body).encode(), data.draw(st.sampled_from(list(protocol.routes)))
    answer(
        protocol,
        path,
        WRAPPINGS[wrapping](text),
        query,
        posthog_request_timestamp="soon",
        authorization="Basic !",
        ce_id="%ff",
        content_type="application/json",
    )


@pytest.mark.parametrize("protocol", FOREIGN, ids=[protocol.name for protocol in FOREIGN])
@examples(60)
@given(body=st.binary(max_size=60), query=st.binary(max_size=40))
def test_no_bytes_break_a_protocol(protocol: Protocol, body: bytes, query: bytes) -> None:
    answer(protocol, next(iter(protocol.routes)), body, query)


CORPUS = {
    "100,000 levels": b"[" * 100_000,
    "deep properties": b'{"batch":[{"type":"track","event":"e","userId":"u","distinct_id":"u",'
    + b'"properties":'
    + b'{"a":' * 600
    + b"1"
    + b"}" * 600
    + b"}]}",
    "bad UTF-8": b'{"batch":[{"event":"\xff"}]}',
    "a BOM": b'\xef\xbb\xbf{"batch":[]}',
    "half a gzip": gzip.compress(b"{}" * 1000)[:-4],
    "600,001 lists": b"[" + b"[]," * 600_001 + b"[]]",
}


@pytest.mark.parametrize("body", CORPUS.values(), ids=CORPUS)
async def test_no_body_of_the_corpus_is_a_500_anywhere(body: bytes) -> None:
    async with collector() as client:
        for path in sorted(
            {
                path
                for protocol in FOREIGN
                for path, methods in protocol.routes.items()
                if "POST" in methods and len(body) < 1 << 20
            }
        ):
            assert (await client.send_events(body, path)).status_code < 500, path
        assert bool(client.sink.events) is (body == CORPUS["bad UTF-8"])
        assert not any(unfit(str(event)) for event in client.sink.events)
