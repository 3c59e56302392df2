"""The strength and time of an authentication, as a provider reports them: `acr`, `amr` and `auth_time` of an ID token.

OpenID Connect Core 1.0, section 2; the methods are those of RFC 8176. The least is assumed for what is not reported:
one factor, at an unknown time.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from duoscope.identity.oidc.id_tokens import CLOCK_SKEW_S
from duoscope.identity.oidc.provider import Refused

_SAYS_SO: Final = frozenset({"mfa"})
_KNOWS: Final = frozenset({"pwd", "pin", "kba"})
_HAS: Final = frozenset({"otp", "hwk", "swk", "sc", "sms", "tel"})
_IS: Final = frozenset({"face", "fpt", "iris", "retina", "vbm"})


@dataclass(frozen=True, slots=True)
class Strength:
    """The strength of a login. `authenticated_s_ago` is None if the provider does not report it."""

    is_multi_factor: bool
    authenticated_s_ago: float | None

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of a session that begins with it."""
        return ("oidc", "mfa") if self.is_multi_factor else ("oidc",)


def strength(claims: Mapping[str, Any], acr_values: tuple[str, ...], *, since_s: float | None) -> Strength:
    """The strength that the claims of a valid ID token report.

    Args:
        claims: the token's.
        acr_values: those that mean more than one factor.
        since_s: when the provider was asked to authenticate again, in seconds since the epoch; None if it was not.

    Raises:
        Refused: it was asked, and did not.
    """
    listed: object = claims.get("amr")
    amr = {str(each) for each in cast("list[object]", listed)} if isinstance(listed, list) else set[str]()
    kinds = sum(not kind.isdisjoint(amr) for kind in (_KNOWS, _HAS, _IS))
    is_multi_factor = claims.get("acr") in acr_values or not _SAYS_SO.isdisjoint(amr) or kinds > 1
    at = claims.get("auth_time")
    if at is not None and not (isinstance(at, int | float) and 0 <= at <= time.time() + CLOCK_SKEW_S):
        raise Refused("ID token: auth_time is no time that has been")
    if since_s is not None and (at is None or at < since_s - CLOCK_SKEW_S):
        raise Refused("the provider was asked to authenticate anew, and did not")
    return Strength(is_multi_factor, None if at is None else max(0.0, time.time() - at))
