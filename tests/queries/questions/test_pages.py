"""Every example on the pages of questions is asked, and answered as it stands there, on the fields
that are shown.

An example is a fenced `GET …` and the block after it: JSON (one document, or one a line), or any
other text, line by line.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from starlette.routing import Match

from analytics.queries import QUESTIONS, Question
from analytics.queries.language.parameters import parameters
from analytics.roles.api import PREFIX, ROUTES
from tests.queries.asker import Asker
from tests.queries.oracle import Row

DOCS = Path(__file__).parents[3] / "docs"
PAGES = DOCS / "questions"
EXAMPLE = re.compile(r"^```http\nGET (\S+)\n```\n+```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    page: str
    request: str
    language: str
    answer: str


def examples() -> Iterator[Example]:
    for page in sorted(PAGES.glob("*.md")):
        for request, language, answer in EXAMPLE.findall(page.read_text()):
            yield Example(page.name, request, language, answer)


def rows() -> Iterator[Row]:
    """The events that the pages' README lists."""
    (block,) = re.findall(
        r"^```json\n(.*?)^```", (PAGES / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    for line in block.splitlines():
        event = json.loads(line)
        yield Row(
            **{
                **event,
                "id": UUID(event["id"]),
                "timestamp": datetime.fromisoformat(event["timestamp"]),
            }
        )


def shown(answer: Any, example: Any) -> Any:
    """The answer without the fields that the example leaves out."""
    if isinstance(answer, dict) and isinstance(example, dict):
        return {
            name: shown(answer[name], value) if name in answer else None
            for name, value in example.items()
        }
    if isinstance(answer, list) and isinstance(example, list) and len(answer) == len(example):
        return [shown(one, other) for one, other in zip(answer, example, strict=True)]
    return answer


def held(request: str) -> Iterator[Row]:
    """The events that a request is asked of: as they are listed, or so that the last of them was
    half a minute ago.
    """
    late = (
        datetime.now(UTC) - timedelta(seconds=30) - max(row.timestamp for row in rows())
        if request == f"{PREFIX}/live"
        else timedelta()
    )
    return (replace(row, timestamp=row.timestamp + late) for row in rows())


async def asked(asker: Asker, request: str) -> str:
    """The body of the answer, found by the api's own routes."""
    path, _, query = request.partition("?")
    for question, route in zip(QUESTIONS, ROUTES, strict=True):
        match, scope = route.matches({"type": "http", "path": path, "method": "GET"})
        if match is Match.FULL:
            return (await asker.body(question, query.encode(), scope["path_params"])).decode()
    raise AssertionError(f"no question is asked at {path}")


@pytest.mark.parametrize(
    "example",
    list(examples()),
    ids=lambda example: f"{example.page}-{example.request[: example.request.find('?')]}",
)
async def test_an_example_is_answered_as_it_stands_on_its_page(
    asker: Asker, example: Example
) -> None:
    await asker.hold(held(example.request))
    answer = await asked(asker, example.request)
    if example.language == "json" and "\n{" not in example.answer:
        lines, expected = [answer], [example.answer]
    else:
        lines, expected = answer.splitlines(), example.answer.splitlines()
    assert len(lines) == len(expected)
    for got, want in zip(lines, expected, strict=True):
        if example.language == "json":
            assert shown(json.loads(got), json.loads(want)) == json.loads(want)
        else:
            assert got == want


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.path)
def test_every_question_has_an_example_on_a_page_of_its_own_that_says_how_it_is_computed(
    question: Question,
) -> None:
    page = f"{question.path.split('/')[1]}.md"
    own = re.compile(PREFIX + re.sub(r"\{.*?\}", "[^/?]+", question.path) + r"(\?|$)")
    assert any(own.match(example.request) for example in examples() if example.page == page)
    assert "**How it is computed.**" in (PAGES / page).read_text()


def test_every_page_is_of_a_question() -> None:
    pages = {page.stem for page in PAGES.glob("*.md")} - {"README"}
    assert pages == {question.path.split("/")[1] for question in QUESTIONS}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.path)
def test_every_parameter_of_a_question_stands_on_its_page_or_is_one_of_those_in_common(
    question: Question,
) -> None:
    common = (DOCS / "asking.md").read_text()
    page = (PAGES / f"{question.path.split('/')[1]}.md").read_text()
    for name in parameters(question.query):
        assert re.search(rf"`{name}[`=]|[?&]{name}=|{{{name}}}", page) or f"`{name}`" in common, (
            name
        )
