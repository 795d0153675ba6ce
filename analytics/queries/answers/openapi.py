"""OpenAPI of the questions, their parameters and answers, for programs.

It is made from the structs that read queries, and from the types of the answers.
"""

import re
import typing
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from analytics.events import DEFAULT_PROJECT
from analytics.openapi import JSON, Object, Part, SchemaOf, failures, header, response
from analytics.queries.language.parameters import Value, values_of
from analytics.queries.language.query import Query
from analytics.queries.question import Question

TAG = "questions"

ANSWER = {
    "ETag": header("Identifies the question and its data; send it in If-None-Match"),
    "Cache-Control": header("How long the client may cache the answer"),
    "Vary": header("The answer depends on the API key"),
}
FILE = {
    "Content-Disposition": header("The file's name"),
    "X-Watermark": header(
        "The file holds every event acknowledged before this time; absent if unknown",
        required=False,
    ),
    "X-Unsure-Since": header(
        "Events acknowledged after this time may be lost; absent if none may", required=False
    ),
    "X-Hint": header("Where the events are, if the default range has none", required=False),
}
NOT_MODIFIED = {"304": response("Nothing has changed since the ETag in If-None-Match", {}, ANSWER)}

ERRORS = {
    "400": "A parameter is unknown, wrong, missing or conflicts with another; `field` names it",
    "401": "No key, or one that is unknown, expired or revoked",
    "403": "A key without the scope `query`, of another project, or not for pages of this origin",
    "404": "There is no such project",
    "429": "Too many requests from this address; only behind the front door",
    "500": "A bug in the platform",
    "503": (
        "The database does not answer, the question took too long, or too many slow questions "
        "run; retry after Retry-After"
    ),
}


class Meta(msgspec.Struct, frozen=True):
    """About an answer: it holds every event acknowledged before `watermark` (null if unknown).

    `unsure_since` is there if events of the range may be lost: those acknowledged after it. `ms`
    is the time the answer took. `hint` says where the events are if the default range has none.
    """

    source: Literal["raw", "rollup"]
    watermark: datetime | None
    partial: bool
    cached: bool
    ms: int
    unsure_since: datetime | msgspec.UnsetType = msgspec.UNSET
    hint: str | msgspec.UnsetType = msgspec.UNSET


def part(questions: Iterable[Question]) -> Part:
    """The addresses of these questions."""
    answers = {question: _envelope(question) for question in questions}
    kinds = [kind for kind in answers.values() if kind is not None]
    return Part(kinds, partial(_paths, answers))


def address(question: Question) -> str:
    """The path of a question, with its parameters in braces."""
    return "/api" + re.sub(r":\w+}", "}", question.path)


def summary(question: Question) -> str:
    """What a question answers, in one line."""
    return (question.answer.__doc__ or "").partition("\n")[0]


def _words(question: Question) -> list[str]:
    return [word.strip("{}") for word in address(question).split("/")[2:]]


def _envelope(question: Question) -> Any:
    """The type of what a question answers; None for a file."""
    if question.streamed:
        return None
    fields = [
        ("data", typing.get_type_hints(question.answer)["return"]),
        ("query", dict[str, Any]),
        ("meta", Meta),
    ]
    name = "".join(word.title() for word in _words(question))
    about = {"__doc__": "The answer, every parameter of the query, and how complete it is."}
    return msgspec.defstruct(f"{name}Answer", fields, namespace=about)


def _paths(answers: dict[Question, Any], schema_of: SchemaOf) -> Object:
    return {
        address(question): {"get": _operation(question, kind, schema_of)}
        for question, kind in answers.items()
    }


def _operation(question: Question, kind: Any, schema_of: SchemaOf) -> Object:
    return {
        "operationId": "_".join(_words(question)),
        "summary": summary(question),
        "tags": [TAG],
        "parameters": [
            _parameter(name, value, question) for name, value in values_of(question.query).items()
        ],
        "responses": {
            "200": _file(question) if kind is None else _answer(schema_of(kind)),
            **({} if question.streamed else NOT_MODIFIED),
            **failures(ERRORS, schema_of),
        },
    }


def _answer(schema: Object) -> Object:
    return response("The answer", {JSON: schema}, ANSWER)


def _file(question: Question) -> Object:
    return response("The file", {kind: {"type": "string"} for kind in question.media_types}, FILE)


def _parameter(name: str, value: Value, question: Question) -> Object:
    inside = f"{{{name}}}" in address(question)
    schema = _schema(value)
    description = schema.pop("description", "")
    if value.repeats:
        schema = {"type": "array", "items": schema}
    elif not value.required and value.default is not None:
        schema["default"] = question.query.plain(value.default)
    parameter = {
        "name": name,
        "in": "path" if inside else "query",
        "required": inside or name in _mandatory(question.query),
        "schema": schema,
    }
    return {**parameter, "description": description} if description else parameter


def _schema(value: Value) -> Object:
    """The schema of one value: from `Annotated`, or from the type itself.

    Examples are in it, not beside it: there, readers of the document would ask with all of them.
    """
    if typing.get_origin(value.type) is Literal:
        return {"type": "string", "enum": list(typing.get_args(value.type))}
    if value.meta is not None and value.type is not datetime and value.type is not ZoneInfo:
        schema = msgspec.json.schema(typing.Annotated[value.type, value.meta])
        return schema if value.type is int else {"minLength": 1, **schema}
    kind = value.type
    about: dict[str, Any]
    if value.meta:
        about = {"description": value.meta.description, "examples": value.meta.examples}
    else:
        about = {
            "description": (kind.__doc__ or "").partition("\n")[0],
            "examples": getattr(kind, "examples", ()),
            "enum": list(getattr(kind, "choices", ())),
        }
    return {"type": "string", "minLength": 1} | {name: text for name, text in about.items() if text}


def _mandatory(kind: type[Query]) -> set[str]:
    """The parameters that have no default and that `complete` does not set."""
    values: dict[str, Any] = {}
    kind.complete(values, datetime.now(UTC), DEFAULT_PROJECT)
    return {
        name
        for name, value in values_of(kind).items()
        if value.required and value.attribute not in values
    }
