"""`GET /api`: the questions there are, for who looks around; and its OpenAPI."""

import msgspec

from analytics.openapi import JSON, Object, Part, SchemaOf, failures, response
from analytics.queries import QUESTIONS
from analytics.queries.answers.openapi import TAG, address, summary
from analytics.queries.language.parameters import parameters

PATH = "/api"
ERRORS = {"500": "A bug in the platform"}


class ListedQuestion(msgspec.Struct, frozen=True):
    """A question: where it is asked, what it answers, and the names of its parameters."""

    path: str
    summary: str
    parameters: list[str]


class Listing(msgspec.Struct, frozen=True):
    """All questions, and where to read more about them."""

    questions: list[ListedQuestion]
    docs: str = f"{PATH}/docs"
    openapi: str = f"{PATH}/openapi.json"


LISTING = Listing(
    [
        ListedQuestion(address(question), summary(question), list(parameters(question.query)))
        for question in QUESTIONS
    ]
)


def _paths(schema_of: SchemaOf) -> Object:
    operation = {
        "operationId": "questions",
        "summary": "The questions there are",
        "tags": [TAG],
        "security": [],
        "responses": {
            "200": response("All questions", {JSON: schema_of(Listing)}),
            **failures(ERRORS, schema_of),
        },
    }
    return {PATH: {"get": operation}}


PART = Part((Listing,), _paths)
