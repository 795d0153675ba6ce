"""openapi.json: the addresses of all roles."""

from analytics import __version__, openapi
from analytics.openapi import Object
from analytics.queries import QUESTIONS
from analytics.queries.answers import openapi as questions
from analytics.roles.reference import collector, listing, operator, places, realtime

TAGS = {
    questions.TAG: "Every question is a GET. An unknown parameter is a 400.",
    collector.TAG: "Events go to the collector.",
    realtime.TAG: "Events as they are stored.",
    operator.TAG: "Health and metrics of each role; not behind the front door.",
}

ABOUT: Object = {
    "openapi": "3.1.0",
    "info": {
        "title": "analytics",
        "version": __version__,
        "description": "Events come in at `/collect`, and answers out below `/api`.",
    },
    "servers": [places.HERE, places.role("api")],
    "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
    "security": [{"bearer": []}, {"header": []}],
    "components": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "write_key": {"type": "apiKey", "in": "header", "name": "X-Write-Key"},
        }
    },
}

DOCUMENT = openapi.document(
    ABOUT,
    [questions.part(QUESTIONS), listing.PART, collector.PART, realtime.PART, operator.PART],
)
