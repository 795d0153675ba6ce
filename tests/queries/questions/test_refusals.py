"""What a question cannot make sense of is refused, and the refusal names the parameter.

`language/test_parameters.py` has what all questions refuse alike, and `test_bounds.py` what is too
many.
"""

from typing import Any

import pytest

from analytics.errors import BadRequest
from analytics.queries import QUESTIONS
from tests.queries.asker import Asker

BUCKETED = [
    ("interval=year", "interval"),
    ("interval=minute", "interval"),
    ("by=event_type", "by"),
    ("limit=1", "limit"),
]
EVENT_ID = "00000000-0000-4000-8000-000000000001"

EMPTY = ("metadata.", "metadata..b", "metadata.a.", "metadata.a..b")
"""Paths of keys with an empty one, as a shell makes of `metadata.$path`."""

REFUSED = {
    "/trends": [
        *((f"by={path}", "by") for path in EMPTY),
        *((f"where={path}.eq.1", "where") for path in (*EMPTY, "event_type.eq.x&where=metadata.")),
        *((f"measure=sum:{path}", "measure") for path in EMPTY),
        *((f"series=p90:{path}@a", "series") for path in EMPTY),
    ],
    "/breakdown": [
        *((f"by=event_type,{path}", "by") for path in EMPTY),
        *((f"by=event_type&measure=count,avg:{path}", "measure") for path in EMPTY),
        ("", "by"),
        ("by=", "by"),
        ("by=event_type,", "by"),
        ("by=timestamp", "by"),
        ("by=event_type&by=user_id", "by"),
        ("by=event_type&measure=", "measure"),
        ("by=event_type&measure=count,", "measure"),
        ("by=event_type&measure=count,nope", "measure"),
        ("by=event_type&sort=users", "sort"),
        ("by=event_type&sort=--count", "sort"),
        ("by=event_type&sort=", "sort"),
        ("by=event_type&interval=day", "interval"),
        ("by=event_type&cursor=x", "cursor"),
    ],
    "/export": [
        ("format=xml", "format"),
        ("limit=5", "limit"),
        ("cursor=", "cursor"),
        ("cursor=2026-11-02", "cursor"),
        ("cursor=2026-11-02T00:00:00Z", "cursor"),
        (f"cursor=2026-11-02T00:00:00,{EVENT_ID}", "cursor"),
        ("cursor=2026-11-02T00:00:00Z,x", "cursor"),
        (f"cursor=2026-11-09T00:00:00Z,{EVENT_ID}&from=2026-11-02&to=2026-11-05", "cursor"),
        ("where=metadata.a.re.(", "where"),
    ],
    "/funnel": [
        ("", "step"),
        ("step=a&step=", "step"),
        ("step=a&step=b:c:d", "step"),
        ("step=a&step=b&window=14", "window"),
        ("step=a&step=b&window=0d", "window"),
        ("step=a&step=b&window=-1d", "window"),
        ("step=a&step=b&window=1M", "window"),
        ("step=a&step=b&window=", "window"),
        ("step=a&step=b&window=1d&window=1d", "window"),
        ("step=a&step=b&order=loose", "order"),
        ("step=a&step=b&unit=device", "unit"),
        ("step=a&step=b&order=any&by=event_type", "by"),
        ("step=a&step=b&by=nothing", "by"),
        ("step=a&step=b&by=metadata.", "by"),
        ("step=a&step=b&interval=day", "interval"),
        ("step=a&step=b&where=metadata.a.gt.b", "where"),
    ],
    "/lifecycle": [*BUCKETED, ("event=", "event")],
    "/paths": [
        ("start=a&end=b", "end"),
        ("start=", "start"),
        ("end=a:b:c", "end"),
        ("by=timestamp", "by"),
        ("by=metadata..a", "by"),
        ("depth=0", "depth"),
        ("depth=two", "depth"),
        ("unit=device", "unit"),
        ("measure=count", "measure"),
        ("start=a&start=b", "start"),
    ],
    "/retention": [
        ("start=", "start"),
        ("return=a:b:c", "return"),
        ("mode=second", "mode"),
        ("bound=before", "bound"),
        ("period=hour", "period"),
        ("period=minute", "period"),
        ("interval=day", "interval"),
        ("periods=0", "periods"),
        ("periods=x", "periods"),
        ("from=1990-01-01&to=2026-01-01", "period"),
        ("from=2020-01-01&to=2026-01-01&periods=1000", "periods"),
        ("from=9999-12-01&to=9999-12-30&periods=9", "periods"),
        ("start=a&start=b", "start"),
    ],
    "/sessions": [
        *BUCKETED,
        ("measure=count", "measure"),
        ("from=0001-01-01&tz=Asia/Tokyo", "from"),
    ],
    "/stickiness": [*BUCKETED, ("event=", "event")],
    "/users": [
        ("cursor=abc", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=AAAAAAAAAAAA_w==", "cursor"),
        ("cursor=AAAAAAAAAAAA", "cursor"),
        ("cursor=f_________8=", "cursor"),
        ("interval=day", "interval"),
        ("id=u", "id"),
    ],
    "/users/{id:path}": [("id=u", "id"), ("limit=1", "limit")],
    "/users/{id:path}/timeline": [("cursor=abc", "cursor")],
}


async def refused(asker: Asker, path: str, query: str) -> str | None:
    """The parameter that the refusal names."""
    inside: dict[str, Any] = {"id": "u"} if "{id" in path else {}
    with pytest.raises(BadRequest) as caught:
        await asker.ask_raw(path, query.encode(), **inside)
    assert caught.value.message
    return caught.value.field


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [(path, query, field) for path, cases in REFUSED.items() for query, field in cases],
)
async def test_a_refusal_names_the_parameter(
    asker: Asker, path: str, query: str, field: str
) -> None:
    assert await refused(asker, path, query) == field


@pytest.mark.parametrize("path", [question.path for question in QUESTIONS])
async def test_a_parameter_that_a_question_does_not_have_is_refused(
    asker: Asker, path: str
) -> None:
    assert await refused(asker, path, "nope=1") == "nope"
