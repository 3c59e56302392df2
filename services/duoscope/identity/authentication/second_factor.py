"""The step of a login between the right password and the session, which multi-factor authentication fills."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import invalid
from duoscope.kernel.refs import UserRef
from duoscope.metadata.trusted_devices import TrustedDevice

SECOND_FACTORS: Final = frozenset({"otp", "backup-code", "device", "mfa"})
"""The methods of a session that are a second factor; `mfa` is what a provider has said."""
MISSING: Final = "mfa-required"
"""The code of the error that asks for a second factor: it is no failed attempt."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login whose password was right.

    Attributes:
        user: the user whose account it is.
        mfa_code: as it was sent.
        device: one that the user trusts and that showed its token; a second factor was last shown there at `mfa_at`.
        actor: for the audit log, with the user filled in.
    """

    user: UserRef
    mfa_code: str | None = field(repr=False)
    device: TrustedDevice | None
    actor: Actor


class SecondFactor(Protocol):
    """Decides whether a right password is enough."""

    async def check(self, attempt: Attempt) -> tuple[str, ...]:
        """What was shown besides the password, such as `("otp",)`; `()` when nothing is needed.

        Called outside any transaction, before the session is made.

        Raises:
            DuoscopeError: UNAUTHENTICATED `mfa-required`; anything else counts as a failed attempt.
        """
        ...


class PasswordAlone:
    """For an installation, or a test, without multi-factor authentication."""

    async def check(self, attempt: Attempt) -> tuple[str, ...]:
        """Nothing more. INVALID `mfa-not-enabled` for whoever sends a code all the same."""
        if attempt.mfa_code is not None:
            raise invalid(
                "This account has no multi-factor authentication; leave `mfa_code` out.", code="mfa-not-enabled"
            )
        return ()
