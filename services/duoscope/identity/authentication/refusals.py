"""The errors for a login that gets no session, and for a session that cannot continue."""

from typing import Final

from duoscope.kernel.errors import DuoscopeError, ErrorKind

PASSWORD_EXPIRED: Final = "password-expired"  # noqa: S105 - the name of a refusal


def refused() -> DuoscopeError:
    """The same error for every reason of a failed login."""
    return DuoscopeError(
        ErrorKind.UNAUTHENTICATED, "invalid-credentials", "The e-mail address or the password is wrong."
    )


def password_expired() -> DuoscopeError:
    """The error for a user who knew the password, or has a session that began with it: nobody else learns that it
    expired.
    """
    return DuoscopeError(
        ErrorKind.UNAUTHENTICATED,
        PASSWORD_EXPIRED,
        "This generated password has expired. Ask for a link by mail to set your own "
        "(POST /api/v1/auth/password/forgotten), or ask the operator of duoscope for another "
        "(duoscope admin reset-password).",
    )


def not_refreshed() -> DuoscopeError:
    """The same error for unknown, expired, revoked and reused tokens."""
    return DuoscopeError(
        ErrorKind.UNAUTHENTICATED, "refresh-token-invalid", "The refresh token is not valid; log in again."
    )
