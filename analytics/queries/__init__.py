"""The questions that the api answers. Each folder imports only from the folders below it.

`questions/`    one question a file, and one line in QUESTIONS
`answers/`      a request's way to its answer: envelope, cache, OpenAPI
`question.py`   what a question is
`sequences/`    rows by person or session in order, for funnels, paths and sessions
`precomputed/`  answers from rollups
`database/`     one snapshot of the database for each query
`language/`     query strings, filters, fields, measures, intervals
"""

from analytics.queries.answers.answer import EncodedAnswer, Sources, answer
from analytics.queries.question import Question, StreamedFile
from analytics.queries.questions import breakdown, live, paths, schema, sessions, users
from analytics.queries.questions.activity import lifecycle, stickiness
from analytics.queries.questions.events import events, whereabouts
from analytics.queries.questions.export import export
from analytics.queries.questions.funnel import funnel
from analytics.queries.questions.retention import retention
from analytics.queries.questions.trends import trends

QUESTIONS = (
    trends.QUESTION,
    breakdown.QUESTION,
    funnel.QUESTION,
    retention.QUESTION,
    paths.QUESTION,
    sessions.QUESTION,
    lifecycle.QUESTION,
    stickiness.QUESTION,
    users.QUESTION,
    users.TIMELINE,
    users.ONE,
    events.QUESTION,
    whereabouts.ONE,
    export.QUESTION,
    live.QUESTION,
    schema.QUESTION,
)

__all__ = ["QUESTIONS", "EncodedAnswer", "Question", "Sources", "StreamedFile", "answer"]
