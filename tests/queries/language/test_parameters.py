"""What cannot be understood is a 400 that names its parameter; what can is repeated, resolved."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from analytics.errors import BadRequest, Forbidden
from analytics.projects import ApiKey
from analytics.queries.language import parameters
from analytics.queries.questions.funnel.funnel import Funnel
from tests.queries.asker import Asker

NONSENSE = [
    ("/trends", "From=2026-01-01", "From"),
    ("/trends", "id=1", "id"),
    ("/events", "measure=count", "measure"),
    ("/live", "from=2026-01-01", "from"),
    ("/trends", "limit=1&limit=1", "limit"),
    ("/trends", "event=a&event=b", "event"),
    ("/trends", "from=2026-01-01&last=3d", "last"),
    ("/trends", "from=yesterday", "from"),
    ("/trends", "from=20260101", "from"),
    ("/trends", "from=2026-13-01", "from"),
    ("/trends", "from=2026-01-01T25:00", "from"),
    ("/trends", "from=2026-01-01T10:00:60Z", "from"),
    ("/trends", "from=2026-01-01T10:00Z[UTC]", "from"),
    ("/trends", "from=0001-01-01&tz=Asia/Tokyo", "from"),
    ("/trends", "to=9999-12-31&tz=America/New_York&from=2026-01-01", "interval"),
    ("/trends", "to=9999-12-31T23:59-05:00&from=2026-01-01", "to"),
    ("/trends", "from=2026-01-02&to=2026-01-01", "to"),
    ("/trends", "from=2026-01-01&to=2026-01-01", "to"),
    ("/trends", "from=9000-01-01", "from"),
    ("/trends", "from=", "from"),
    ("/trends", "last=0d", "last"),
    ("/trends", "last=30", "last"),
    ("/trends", "last=-1d", "last"),
    ("/trends", "last=1y", "last"),
    ("/trends", "last=999999999w", "last"),
    ("/trends", "last=9999999999999999999999d", "last"),
    ("/trends", "last=%D9%A3d", "last"),
    ("/trends", "tz=Mars/Phobos", "tz"),
    ("/trends", "tz=../../etc/passwd", "tz"),
    ("/trends", "tz=europe/berlin", "tz"),
    ("/trends", "tz=America", "tz"),
    ("/trends", "tz=localtime", "tz"),
    ("/trends", "tz=Factory", "tz"),
    ("/trends", "interval=year", "interval"),
    ("/trends", "interval=minute&last=30d", "interval"),
    (
        "/trends",
        "interval=day&last=9d&compare=previous&rolling=1000&from=1990-01-01&to=2010-01-01",
        "last",
    ),
    ("/trends", "interval=day&compare=previous&from=1990-01-01&to=2010-01-01", "interval"),
    ("/trends", "from=0001-01-02&to=0001-01-04&compare=previous", "from"),
    ("/trends", "limit=99999999999999999999", "limit"),
    ("/trends", "limit=ten", "limit"),
    ("/trends", "limit=1.0", "limit"),
    ("/trends", "limit=%D9%A3", "limit"),
    ("/trends", "limit=+5", "limit"),
    ("/trends", "rolling=0", "rolling"),
    ("/trends", "rolling=-1", "rolling"),
    ("/trends", "compare=next", "compare"),
    ("/trends", "event=", "event"),
    ("/trends", "event=a,,b", "event"),
    ("/trends", "event=a:b:c", "event"),
    ("/trends", "event=:b", "event"),
    ("/trends", "event=%2500", "event"),
    ("/trends", "event=%00", "event"),
    ("/trends", "event=%ff", "event"),
    ("/trends", "event=%25ff", "event"),
    ("/trends", "by=timestamp", "by"),
    ("/trends", "by=metadata", "by"),
    ("/trends", "by=event_type.x", "by"),
    ("/trends", "by=a,b", "by"),
    ("/trends", "measure=total", "measure"),
    ("/trends", "measure=sum", "measure"),
    ("/trends", "measure=sum:", "measure"),
    ("/trends", "measure=sum:event_type", "measure"),
    ("/trends", "measure=count:metadata.a", "measure"),
    ("/trends", "measure=p42:metadata.a", "measure"),
    ("/trends", "measure=count,users", "measure"),
    ("/trends", "measure=sum:metadata.a:b", "measure"),
    ("/trends", "where=", "where"),
    ("/trends", "where=event_type", "where"),
    ("/trends", "where=event_type.like.a", "where"),
    ("/trends", "where=event_type.EQ.a", "where"),
    ("/trends", "where=id.eq.a", "where"),
    ("/trends", "where=metadata.eq.a", "where"),
    ("/trends", "where=event_type.eq", "where"),
    ("/trends", "where=event_type.set.a", "where"),
    ("/trends", "where=event_type.unset.", "where"),
    ("/trends", "where=metadata.a.gt.b", "where"),
    ("/trends", "where=metadata.a.gt.", "where"),
    ("/trends", "where=metadata.a.gt.1,2", "where"),
    ("/trends", "where=metadata.a.gt.NaN", "where"),
    ("/trends", "where=metadata.a.gt.Infinity", "where"),
    ("/trends", "where=metadata.a.gt.1_0", "where"),
    ("/trends", "where=metadata.a.gt.1e999999999", "where"),
    ("/trends", "where=metadata.a.re.(a)%5C1", "where"),
    ("/trends", "where=metadata.a.re.%5C%5C(a)%5C1", "where"),
    ("/trends", "where=event_type.eq.a&where=event_type.eq.%2500", "where"),
    ("/trends", "series=count", "series"),
    ("/trends", "series=count@", "series"),
    ("/trends", "series=nope@a", "series"),
    ("/trends", "series=count@a@b", "series"),
    ("/trends", "series=count@a&event=b", "event"),
    ("/trends", "series=count@a&measure=users", "measure"),
    ("/trends", "series=count@a&by=event_type", "by"),
    ("/trends", "formula=A", "formula"),
    ("/trends", "series=count@a&formula=A/B", "formula"),
    ("/trends", "series=count@a&formula=A**2", "formula"),
    ("/trends", "series=count@a&formula=A//2", "formula"),
    ("/trends", "series=count@a&formula=A.real", "formula"),
    ("/trends", "series=count@a&formula=A(1)", "formula"),
    ("/trends", "series=count@a&formula=a", "formula"),
    ("/trends", "series=count@a&formula=", "formula"),
    ("/trends", "series=count@a&formula=A 1", "formula"),
    ("/trends", "series=count@a&formula=" + "(" * 150 + "A", "formula"),
    ("/trends", "series=count@a&formula=" + "-" * 199 + "A", None),
    ("/trends", "series=count@a&event=*&measure=count", None),
    ("/events", "cursor=abc", "cursor"),
    ("/events", "cursor=", "cursor"),
    ("/events", "cursor=f_______________________________", "cursor"),
    ("/trends", "project=", "project"),
    ("/trends", "project=" + "p" * 65, "project"),
]


@pytest.mark.parametrize(
    ("path", "query", "field"), NONSENSE, ids=lambda value: value[:60] if value else "-"
)
async def test_nonsense_is_named(asker: Asker, path: str, query: str, field: str | None) -> None:
    if field is None:
        await asker.ask_raw(path, query.encode())
        return
    with pytest.raises(BadRequest) as caught:
        await asker.ask_raw(path, query.encode())
    assert caught.value.field == field
    assert caught.value.message


@pytest.mark.parametrize(
    "query",
    [
        b"event=\xff",
        b"event=\xc3\xa9%ff",
        b"\xff=1",
        b"%ff=1",
        b"a%00b=1",
        b"where=event_type.eq.\xed\xa0\x80",
    ],
)
async def test_bytes_that_are_no_text_are_refused(asker: Asker, query: bytes) -> None:
    with pytest.raises(BadRequest):
        await asker.ask_raw("/trends", query)


async def test_text_may_be_in_the_query_string_unencoded(asker: Asker) -> None:
    assert (await asker.ask_raw("/trends", "event=é".encode()))["query"]["event"] == "é"


async def test_every_parameter_is_repeated_resolved(asker: Asker) -> None:
    asked = [
        ("from", "2026-10-25"), ("to", "2026-10-25T03:00"), ("tz", "Europe/Berlin"),
        ("interval", "hour"), ("event", "a:b"), ("where", "metadata.x.gt.1"),
        ("where", "user_id.set"), ("measure", "sum:metadata.n"), ("by", "metadata.page"),
        ("limit", "3"), ("compare", "previous"), ("rolling", "2"),
    ]  # fmt: skip
    assert (await asker.ask("/trends", *asked))["query"] == {
        "project": "default", "from": "2026-10-25T00:00:00+02:00",
        "to": "2026-10-25T03:00:00+01:00", "last": None, "tz": "Europe/Berlin", "interval": "hour",
        "event": "a:b", "where": ["metadata.x.gt.1", "user_id.set"], "measure": "sum:metadata.n",
        "by": "metadata.page", "limit": 3, "compare": "previous", "rolling": 2, "series": [],
        "formula": None,
    }  # fmt: skip


async def test_without_a_range_it_is_the_last_30_days_from_local_midnight_to_now(
    asker: Asker,
) -> None:
    before = datetime.now(UTC)
    query = (await asker.ask("/events", ("tz", "Asia/Kathmandu")))["query"]
    start, end = datetime.fromisoformat(query["from"]), datetime.fromisoformat(query["to"])
    assert before <= end <= datetime.now(UTC)
    assert start.isoformat()[10:] == "T00:00:00+05:45"
    assert timedelta(days=30) <= end - start < timedelta(days=31)
    assert (query["last"], query["limit"]) == ("30d", 50)


@pytest.mark.parametrize(
    ("last", "exactly"),
    [("90m", timedelta(minutes=90)), ("24h", timedelta(hours=24)), ("1s", timedelta(seconds=1))],
)
async def test_minutes_and_hours_are_exact(asker: Asker, last: str, exactly: timedelta) -> None:
    query = (await asker.ask("/events", ("last", last), ("tz", "Europe/Berlin")))["query"]
    assert datetime.fromisoformat(query["to"]) - datetime.fromisoformat(query["from"]) == exactly


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-02T10:00:00+01:00",
        "2026-11-02 10:00+0100",
        "2026-11-02T09:00:00.000000Z",
        "2026-11-02t09:00z",
        "2026-11-02T10:00",
    ],
)
async def test_a_date_time_may_be_written_in_many_ways(asker: Asker, written: str) -> None:
    query = (await asker.ask("/events", ("from", written), ("tz", "Europe/Berlin")))["query"]
    assert query["from"] == "2026-11-02T10:00:00+01:00"


async def test_a_plus_that_was_not_encoded_is_still_an_offset(asker: Asker) -> None:
    assert (await asker.ask_raw("/events", b"from=2026-11-02T10:00:00+01:00"))["query"][
        "from"
    ] == "2026-11-02T09:00:00+00:00"


OWN = ApiKey(id=2, prefix="ak_r_", project="shop", scopes=frozenset({"query"}))


async def test_a_keys_own_project_is_the_default_and_the_only_one_it_opens(asker: Asker) -> None:
    assert (await asker.ask("/live", key=OWN))["query"] == {"project": "shop"}
    assert (await asker.ask("/live", ("project", "shop"), key=OWN))["query"] == {"project": "shop"}
    with pytest.raises(Forbidden) as caught:
        await asker.ask("/live", ("project", "default"), key=OWN)
    assert caught.value.field == "project"


def test_a_parameter_that_repeats_takes_time_for_each_of_its_values_and_no_more() -> None:
    def seconds(times: int) -> float:
        asked = b"&".join([b"step=a"] * times)
        began = time.thread_time()
        with pytest.raises(BadRequest, match="steps"):
            parameters.read(Funnel, asked, {}, now=datetime.now(UTC), project="default")
        return time.thread_time() - began

    few, many = (min(seconds(times) for _ in range(3)) for times in (2_000, 32_000))
    assert many < 40 * few  # 16 times as many values
