"""openapi.json says what the api does: held to the questions here, and to a running api by
schemathesis; `make oracle` tries it for longer.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx2
import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.embedded import Postgres, Valkey, free_port
from analytics.errors import BadRequest
from analytics.queries import QUESTIONS, Question
from analytics.queries.language import parameters
from analytics.roles import api
from analytics.roles.reference import DOCUMENT as BUILT
from analytics.settings import Settings
from tests import servers
from tests.faults.platform import http_get
from tests.promises import keeps_promises
from tests.queries.asker import Asker
from tests.queries.questions.test_pages import rows
from tests.waiting import wait_for

ROOT = Path(__file__).parents[3]
KEY = "ak_r_static"
DOCUMENT = msgspec.json.decode(msgspec.json.encode(BUILT))


def operation(question: Question) -> Any:
    return DOCUMENT["paths"]["/api" + re.sub(r":\w+}", "}", question.path)]["get"]


def component(reference: Any) -> Any:
    return DOCUMENT["components"]["schemas"][reference["$ref"].rpartition("/")[2]]


each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.path)


async def test_it_is_there_without_a_key_and_without_servers() -> None:
    app = api.ROLE.app(
        Settings(
            environment="test",
            database_url="postgresql://nowhere.invalid/x",
            redis_url="redis://nowhere.invalid",
            api_keys=(KEY,),
        )
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http,
    ):
        answer = await http.get("/api/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == DOCUMENT
    assert answer.json()["openapi"].startswith("3.1")


@each_question
def test_every_parameter_of_every_question_is_in_it_with_a_description_and_no_other(
    question: Question,
) -> None:
    by_name = {parameter["name"]: parameter for parameter in operation(question)["parameters"]}
    assert set(by_name) == set(parameters.parameters(question.query))
    for name, parameter in by_name.items():
        schema = parameter["schema"]
        assert "description" in parameter or "enum" in schema or schema["type"] == "integer", name


@each_question
def test_it_says_what_is_answered(question: Question) -> None:
    contents = operation(question)["responses"]["200"]["content"]
    assert list(contents) == list(question.media_types)
    for schema in (
        content["schema"]
        for content in contents.values()
        if question.media_types == ("application/json",)
    ):
        envelope = component(schema)
        assert list(envelope["properties"]) == ["data", "query", "meta"]
        assert envelope["properties"]["data"].keys() & {"$ref", "additionalProperties"}


@each_question
def test_its_examples_are_understood(question: Question) -> None:
    known = parameters.parameters(question.query)
    for parameter in operation(question)["parameters"]:
        schema = parameter["schema"].get("items", parameter["schema"])
        for example in schema.get("examples", ()):
            known[parameter["name"]].read(example)


@each_question
def test_what_it_demands_is_what_is_missed(question: Question) -> None:
    demanded = [
        parameter["name"]
        for parameter in operation(question)["parameters"]
        if parameter["required"]
    ]
    with pytest.raises(BadRequest) if demanded else contextlib.nullcontext() as caught:
        parameters.read(question.query, b"", {}, now=datetime.now(UTC), project="default")
    if caught:
        assert (caught.value.code, [caught.value.field]) == ("missing_parameter", demanded)


def test_bounds_defaults_and_choices_stand_in_it() -> None:
    trends = {
        parameter["name"]: parameter["schema"]
        for parameter in operation(QUESTIONS[0])["parameters"]
    }
    assert trends["limit"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}
    assert trends["interval"]["enum"] == ["minute", "hour", "day", "week", "month"]
    assert trends["interval"]["default"] == "day"
    assert trends["compare"]["enum"] == ["previous"]
    assert trends["where"]["type"] == "array"


async def test_the_headers_that_it_names_are_sent(migrated_url: str, redis_url: str) -> None:
    app = api.ROLE.app(
        Settings(
            environment="test", database_url=migrated_url, redis_url=redis_url, api_keys=(KEY,)
        )
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http,
    ):
        for path in ("/api/trends", "/api/events", "/api/export"):
            responses = DOCUMENT["paths"][path]["get"]["responses"]
            answers = {
                "200": await http.get(path, headers={"X-API-Key": KEY}),
                "401": await http.get(path),
            }
            if etag := answers["200"].headers.get("etag"):
                answers["304"] = await http.get(
                    path, headers={"X-API-Key": KEY, "If-None-Match": etag}
                )
            for status, answer in answers.items():
                assert str(answer.status_code) == status
                headers = responses[status]["headers"].items()
                needed = {name.lower() for name, header in headers if header["required"]}
                assert needed <= {*answer.headers}


async def seed(url: str) -> None:
    """The events of the docs' examples, the last of them an hour ago."""
    events = list(rows())
    late = datetime.now(UTC) - timedelta(hours=1) - max(event.timestamp for event in events)
    writer = await asyncpg.connect(url)
    await writer.execute("create table raw_events_of_any_age partition of raw_events default")
    await Asker(writer, cast(AsyncEngine, None)).add(
        replace(event, timestamp=event.timestamp + late) for event in events
    )
    await writer.close()


@contextlib.contextmanager
def running_api(postgres: Postgres, template: str, valkey: Valkey, folder: Path) -> Iterator[str]:
    """The address of an api with some events in it."""
    with servers.database(postgres, template=template) as url:
        asyncio.run(seed(url))
        with serving(url, valkey, folder) as address:
            yield address


@contextlib.contextmanager
def serving(url: str, valkey: Valkey, folder: Path) -> Iterator[str]:
    """The address of an api of a database."""
    port = free_port()
    env = {
        **os.environ,
        "ENVIRONMENT": "test",
        "PORT": str(port),
        "DATABASE_URL": url,
        "REDIS_URL": valkey.url,
        "API_KEYS": KEY,
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "analytics", "run", "--role=api"],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: http_get(f"http://127.0.0.1:{port}/health")[0] == 200, "the api")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(40)


@pytest.fixture
def running(
    postgres_server: Postgres, migrated_database: str, valkey_server: Valkey, tmp_path: Path
) -> Iterator[str]:
    with running_api(postgres_server, migrated_database, valkey_server, tmp_path) as url:
        yield url


@pytest.mark.hypothesis
def test_whatever_is_asked_there_is_no_500_and_no_answer_that_it_does_not_foresee(
    running: str, tmp_path: Path
) -> None:
    headers = {"X-API-Key": KEY}
    tested = keeps_promises(f"{running}/api/openapi.json", running, "^/api", tmp_path, headers)
    assert tested == len(QUESTIONS) + 1
