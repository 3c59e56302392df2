"""The closed set of ways in which a request can fail.

Raise `DuoscopeError` with a kind, a stable code and a message for the user or program outside. Text for operators only
goes to `detail`, which is logged and never sent. Each edge maps kinds once: `api/problems.py` to HTTP problem details
(RFC 9457), `receiver/status.py` to OTLP statuses.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

T = TypeVar("T")


class ErrorKind(Enum):
    """The kinds of failure, in terms that both HTTP and gRPC can express."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    OUTDATED = "outdated"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA = "unsupported_media"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Place:
    """A mistake in a text that somebody wrote: where it is, and what may stand there.

    Attributes:
        position: of the first character that is wrong, counted from 0; the text's length for what is missing behind it.
        length: of what is wrong, in characters; 0 for what is missing.
        choices: what may stand in place of these characters, if that is little.
        field: the field of the request that the text is in; `query` unless it is another.
    """

    position: int
    length: int = 0
    choices: tuple[str, ...] = ()
    field: str = "query"


class DuoscopeError(Exception):
    """A failure with an outward and an inward message.

    Args:
        kind: decides the status on each edge.
        code: stable kebab-case identifier that clients may match on.
        message: outward sentence: what, where, what to do. Carries no internals.
        detail: inward text for the log only.
        retry_after_s: for RATE_LIMITED and UNAVAILABLE, seconds until a retry makes sense.
        place: for INVALID, where the mistake is in a text that is written in a language.
    """

    def __init__(
        self,
        kind: ErrorKind,
        code: str,
        message: str,
        *,
        detail: str | None = None,
        retry_after_s: float | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.place = place


def invalid(
    message: str, *, code: str = "invalid-request", detail: str | None = None, place: Place | None = None
) -> DuoscopeError:
    """The error for a request that is wrong and will stay wrong: the message says where, and what to change."""
    return DuoscopeError(ErrorKind.INVALID, code, message, detail=detail, place=place)


def invalid_in(field: str, error: DuoscopeError) -> DuoscopeError:
    """The error of a text that is in another field of the request than where it is judged."""
    place = None if error.place is None else replace(error.place, field=field)
    return invalid(f"`{field}`: {error.message}", code=error.code, place=place)


def not_found(resource: str) -> DuoscopeError:
    """The same error for a resource that does not exist and for one whose existence the caller may not know."""
    return DuoscopeError(ErrorKind.NOT_FOUND, "not-found", f"No such {resource}.")


def require_found(found: T | None, resource: str) -> T:
    """Return what was found. Raises NOT_FOUND if it is None."""
    if found is None:
        raise not_found(resource)
    return found


def no_such_user() -> DuoscopeError:
    """The error for operators at the command line, who may know which users exist."""
    return not_found("user; `duoscope admin list-access` lists those who hold a role")


def unavailable(message: str, *, code: str, retry_after_s: float, detail: str | None = None) -> DuoscopeError:
    """The error for a store that is down or too busy; the same request may succeed later."""
    return DuoscopeError(ErrorKind.UNAVAILABLE, code, message, detail=detail, retry_after_s=retry_after_s)
