"""The errors that we raise on purpose.

`roles/http/role.py` turns each into an HTTP status, `cli.py` into one line and an exit status.
"""


class AnalyticsError(Exception):
    """The root of all errors that we raise on purpose.

    `code` is a stable word for programs, `message` a sentence for people, `field` the parameter or
    setting at fault.
    """

    default_code = "internal"

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.field = field


class ConfigurationError(AnalyticsError):
    """A setting is missing or wrong; `field` names it. The command ends with exit status 2."""

    default_code = "configuration"


class CommandError(AnalyticsError):
    """A command failed; the message says what to do. It ends with exit status 1."""

    default_code = "failed"


class BadRequest(AnalyticsError):
    """The request cannot be understood; `field` names the parameter (400)."""

    default_code = "bad_request"


class Unauthorized(AnalyticsError):
    """No key, or one that is unknown, expired or revoked (401)."""

    default_code = "unauthorized"


class UnknownKey(Unauthorized):
    """A key that does not exist (401), unlike one that is revoked or expired."""


class Forbidden(AnalyticsError):
    """A known key without the scope, project or origin that the request needs (403)."""

    default_code = "forbidden"


class NotFound(AnalyticsError):
    """There is nothing of this name or at this address (404)."""

    default_code = "not_found"


class SlowBody(AnalyticsError):
    """The body did not arrive in time (408)."""

    default_code = "slow_body"


class TooLarge(AnalyticsError):
    """The body is over its limit, before or after decompression (413)."""

    default_code = "too_large"


class UnsupportedEncoding(AnalyticsError):
    """A Content-Encoding that the collector cannot read (415)."""

    default_code = "unsupported_encoding"


class RateLimited(AnalyticsError):
    """This key or address sends too many requests (429); retry after `retry_after` seconds."""

    default_code = "rate_limited"

    def __init__(
        self,
        message: str,
        *,
        retry_after: int = 1,
        code: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message, code=code, field=field)
        self.retry_after = retry_after


class Unavailable(AnalyticsError):
    """A server that we need is down, full or slow (503).

    Nothing was accepted; retry after `retry_after` seconds.
    """

    default_code = "unavailable"

    def __init__(
        self,
        message: str,
        *,
        retry_after: int = 1,
        code: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message, code=code, field=field)
        self.retry_after = retry_after


class TransientStoreError(Unavailable):
    """The store could not commit now but may later: the batch is tried again, without end."""

    default_code = "store_unavailable"


class SuspectBatch(TransientStoreError):
    """The same, but the batch itself may be the reason, so its jobs are tried each alone.

    `slow`: it took too long.
    """

    def __init__(self, message: str, *, slow: bool) -> None:
        super().__init__(message)
        self.slow = slow


def driver_error(error: Exception) -> BaseException:
    """What the driver raised, without the statement and the values that SQLAlchemy adds."""
    original = getattr(error, "orig", None) or error
    return original.__cause__ or original
