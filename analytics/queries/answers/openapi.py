"""OpenAPI: all questions, their parameters and answers, for programs.

The document is made from the structs that read queries, and from the types of the answers.
"""

import re
import typing
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from analytics import __version__
from analytics.events import DEFAULT_PROJECT
from analytics.queries.language.parameters import Value, values_of
from analytics.queries.language.query import Query
from analytics.queries.question import Question

JSON = "application/json"
REFERENCE = "#/components/schemas/{name}"

Headers = dict[str, dict[str, Any]]


def _header(description: str, kind: str = "string", *, required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": kind}}


ANSWER: Headers = {
    "ETag": _header("Identifies the question and its data; send it in If-None-Match"),
    "Cache-Control": _header("How long the client may cache the answer"),
    "Vary": _header("The answer depends on the API key"),
}
FILE: Headers = {
    "Content-Disposition": _header("The file's name"),
    "X-Watermark": _header(
        "The file holds every event acknowledged before this time; absent if unknown",
        required=False,
    ),
}
FAILED: dict[str, Headers] = {
    "401": {"WWW-Authenticate": _header("`Bearer`")},
    "503": {"Retry-After": _header("Seconds", "integer")},
}

NOT_MODIFIED = {
    "304": {"description": "Nothing has changed since the ETag in If-None-Match", "headers": ANSWER}
}

ERRORS = {
    "400": "A parameter is unknown, wrong, missing or conflicts with another; `field` names it",
    "401": "No key, or one that is unknown, expired or revoked",
    "403": "A key without the scope `query`, or of another project",
    "503": (
        "The database does not answer, the question took too long, or too many slow questions "
        "run; retry after Retry-After"
    ),
}


class Fault(msgspec.Struct, frozen=True):
    """What went wrong: `code` for programs, `message` for people, the parameter in `field`."""

    code: str
    message: str
    field: str | msgspec.UnsetType = msgspec.UNSET


class Failure(msgspec.Struct, frozen=True):
    """The body of every error."""

    error: Fault


class Meta(msgspec.Struct, frozen=True):
    """About an answer: it holds every event acknowledged before `watermark` (null if unknown).

    `ms` is the time the answer took.
    """

    source: Literal["raw", "rollup"]
    watermark: datetime | None
    partial: bool
    cached: bool
    ms: int


def document(questions: Iterable[Question]) -> dict[str, Any]:
    """OpenAPI 3.1 of these questions."""
    questions = list(questions)
    answers = [Any if question.streamed else _answer(question) for question in questions]
    schemas, components = msgspec.json.schema_components(
        [*answers, Failure, Meta], ref_template=REFERENCE
    )
    paths = {
        f"/api{_path(question)}": {"get": _operation(question, schema)}
        for question, schema in zip(questions, schemas, strict=False)
    }
    about = {
        "title": "analytics",
        "version": __version__,
        "description": "Every question is a GET. An unknown parameter is a 400.",
    }
    security = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    return {
        "openapi": "3.1.0",
        "info": about,
        "paths": paths,
        "security": [{name: []} for name in security],
        "components": {"schemas": components, "securitySchemes": security},
    }


def _answer(question: Question) -> Any:
    """The type of the data that a question answers."""
    return typing.get_type_hints(question.answer)["return"]


def _path(question: Question) -> str:
    return re.sub(r":\w+}", "}", question.path)


def _operation(question: Question, schema: dict[str, Any]) -> dict[str, Any]:
    path = _path(question)
    words = [word.strip("{}") for word in path.split("/") if word]
    failures = {
        status: _content(
            text, {JSON: {"$ref": REFERENCE.format(name="Failure")}}, FAILED.get(status, {})
        )
        for status, text in ERRORS.items()
    }
    return {
        "operationId": "_".join(words),
        "summary": (question.answer.__doc__ or "").partition("\n")[0],
        "tags": words[:1],
        "parameters": [
            _parameter(name, value, question) for name, value in values_of(question.query).items()
        ],
        "responses": {
            "200": _success(question, schema),
            **({} if question.streamed else NOT_MODIFIED),
            **failures,
        },
    }


def _success(question: Question, schema: dict[str, Any]) -> dict[str, Any]:
    if question.streamed:
        return _content(
            "The file", {kind: {"type": "string"} for kind in question.media_types}, FILE
        )
    meta = {"$ref": REFERENCE.format(name="Meta")}
    envelope = {
        "type": "object",
        "properties": {"data": schema, "query": {"type": "object"}, "meta": meta},
        "required": ["data", "query", "meta"],
    }
    return _content("The answer", {JSON: envelope}, ANSWER)


def _content(description: str, schemas: dict[str, Any], headers: Headers) -> dict[str, Any]:
    content = {kind: {"schema": schema} for kind, schema in schemas.items()}
    response = {"description": description, "content": content}
    return {**response, "headers": headers} if headers else response


def _parameter(name: str, value: Value, question: Question) -> dict[str, Any]:
    inside = f"{{{name}}}" in _path(question)
    schema = _schema(value)
    description = schema.pop("description", "")
    examples = schema.pop("examples", ())
    if value.repeats:
        schema, examples = {"type": "array", "items": schema}, [list(examples)] if examples else []
    elif not value.required and value.default is not None:
        schema["default"] = question.query.plain(value.default)
    parameter = {
        "name": name,
        "in": "path" if inside else "query",
        "required": inside or name in _mandatory(question.query),
        "schema": schema,
    }
    if description:
        parameter["description"] = description
    if examples:
        numbered = enumerate(examples, 1)
        parameter["examples"] = {f"{number}": {"value": value} for number, value in numbered}
    return parameter


def _schema(value: Value) -> dict[str, Any]:
    """The schema of one value: from `Annotated`, or from the type itself."""
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
