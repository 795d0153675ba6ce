"""The questions that the api answers: each is one file, and one line here.

`parameters.py`  a query string → a question's struct        `asked.py`      what these structs have in common
`times.py`       instants and local time                     `intervals.py`  buckets
`fields.py`      what an event's fields hold                 `filters.py`    which rows count
`patterns.py`    regular expressions, read                   `automata.py`   and run where there is no database
`matching.py`    filters without a database                  `identity.py`   who is whom, where people are counted
`measures.py`    what is counted                             `lines.py`      a measure over time, by group
`actives.py`     who was active in each bucket               `cohorts.py`    who came back in which period
`attempts.py`    how far a unit gets in a funnel             `formula.py`    arithmetic over series
`packed.py`      the days of a range as columns              `columns.py`    what is made of them, in threads
`sequences.py`   rows by person or session, in order         `progress.py`   how far all units get at once
`visits.py`      sessions, from stretches of rows            `visited.py`    how many of them over time
`source.py`      precomputed or raw, behind one face         `plan.py`       which of the two
`rollup.py`      what is precomputed                         `pieces.py`     what it covers of a bucket
`addends.py`     the statements that read it                 `sums.py`       put together
`settled.py`     the same of raw rows, where days are over   `memory.py`     what was read of both before
`figures.py`     of numbers, what sums and percentiles need  `walk.py`       the newest rows that pass
`read.py`        one snapshot of the database                `replica.py`    until when one of a replica is complete
`answer.py`      the envelope                                `formats.py`    how exported events are written
`kept.py`        answers that are kept                       `mark.py`       whether they still hold
`lanes.py`       what takes long, apart                      `flights.py`    many who ask the same
`units.py`       whose rows belong together                `openapi.py`    all of it, for programs
"""

from analytics.queries import breakdown, events, export, funnel, lifecycle, live, paths, retention, schema, sessions, stickiness, trends, users
from analytics.queries.answer import Question, Reply, Sources, Stream, answer, reply

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
    events.ONE,
    export.QUESTION,
    live.QUESTION,
    schema.QUESTION,
)

__all__ = ["QUESTIONS", "Question", "Reply", "Sources", "Stream", "answer", "reply"]
