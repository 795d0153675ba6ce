"""From an error to its HTTP response: one table of statuses, one shape of body."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from analytics import errors
from analytics.roles.http.responses import json_response

STATUS: Mapping[type[errors.AnalyticsError], int] = {
    errors.BadRequest: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.SlowBody: 408,
    errors.TooLarge: 413,
    errors.UnsupportedEncoding: 415,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
    errors.TransientStoreError: 503,
}
"""Error → HTTP status. A subclass that is not listed has the status of its parent."""

REFUSALS = {
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take this method"),
    413: ("too_large", "the body is over its limit"),
}
"""What the router refuses by itself: status → code and message."""


def status_of(error: errors.AnalyticsError) -> int:
    """The HTTP status of an error; 500 for an error that no client can cause."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def error_body(error: errors.AnalyticsError) -> dict[str, Any]:
    """`{"code", "message"}`, with `field` if the error names one."""
    body = {"code": error.code, "message": error.message}
    return {**body, "field": error.field} if error.field else body


def error_headers(error: errors.AnalyticsError) -> dict[str, str]:
    """`Retry-After` where waiting helps, `WWW-Authenticate` where a key is missing."""
    if isinstance(error, errors.Unavailable | errors.RateLimited):
        return {"Retry-After": str(error.retry_after)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, errors.Unauthorized) else {}


def error_response(error: errors.AnalyticsError) -> Response:
    """The response to a request that failed with this error."""
    return json_response({"error": error_body(error)}, status_of(error), error_headers(error))


def router_response(error: HTTPException) -> Response:
    """The same for a request that the router refused: unknown path, wrong method."""
    code, message = REFUSALS.get(error.status_code, ("http_error", error.detail))
    body = {"error": {"code": code, "message": message}}
    return json_response(body, error.status_code, error.headers)


async def _on_error(_: Request, error: Any) -> Response:
    return error_response(error)


async def _on_router_error(_: Request, error: Any) -> Response:
    return router_response(error)


HANDLERS: Mapping[Any, ExceptionHandler] = {
    errors.AnalyticsError: _on_error,
    HTTPException: _on_router_error,
}
"""For Starlette: exception → what makes a response of it."""
