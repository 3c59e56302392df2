"""The interface between the password check of a login and multi-factor authentication."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import invalid
from duoscope.kernel.refs import UserRef
from duoscope.metadata.trusted_devices import TrustedDevice

SECOND_FACTORS: Final = frozenset({"otp", "backup-code", "device", "mfa"})
"""The methods of a session that are a second factor; `mfa` is reported by providers."""
MISSING: Final = "mfa-required"
"""The error code that asks for a second factor: it is not a failed attempt."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login whose password was correct.

    Attributes:
        user: the user whose account it is.
        mfa_code: as it was sent.
        device: a trusted device that sent its token; a second factor was last used there at `mfa_at`.
        actor: for the audit log, with the user filled in.
    """

    user: UserRef
    mfa_code: str | None = field(repr=False)
    device: TrustedDevice | None
    actor: Actor


class SecondFactor(Protocol):
    """Decides whether a correct password is enough."""

    async def check(self, attempt: Attempt) -> tuple[str, ...]:
        """Check the second factor. Returns its methods, such as `("otp",)`; `()` when none is needed.

        Called outside any transaction, before the session is made.

        Raises:
            DuoscopeError: UNAUTHENTICATED `mfa-required`; any other error counts as a failed attempt.
        """
        ...


class PasswordAlone:
    """Accepts the password alone: for an installation, or a test, without multi-factor authentication."""

    async def check(self, attempt: Attempt) -> tuple[str, ...]:
        """Require nothing. Raises INVALID `mfa-not-enabled` for a code that is sent all the same."""
        if attempt.mfa_code is not None:
            raise invalid("This account has no second factor; leave `mfa_code` out.", code="mfa-not-enabled")
        return ()
