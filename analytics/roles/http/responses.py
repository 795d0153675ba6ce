"""JSON responses."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

MEDIA_TYPE = "application/json"


def json_response(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Anything msgspec can encode, as JSON."""
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)
