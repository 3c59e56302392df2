"""ID tokens: the keys that sign them, and the checks of OpenID Connect Core 1.0, section 3.1.3.7.

`joserfc` reads the keys, verifies signatures and checks the registered claims. This module adds what it does not check:
the accepted algorithms, the authorized party, the length of a subject, the nonce as a text.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar, cast

from joserfc import jws, jwt
from joserfc.errors import InvalidClaimError, JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from duoscope.net.outbound import ANSWER_BYTES_MAX

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""For ID tokens: asymmetric ones only, so that the client secret cannot sign and `none` is refused."""
CLOCK_SKEW_S: Final = 60
SUBJECT_CHARS_MAX: Final = 255
_HEADER_BYTES_MAX: Final = 64 * 1024
"""A header may contain the certificates of its key."""
_SIGNATURE_BYTES_MAX: Final = 4096
_REASON_CHARS_MAX: Final = 200
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_MALFORMED: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError)
"""What `joserfc` raises for tokens and keys that are not what the RFCs say; not all of it are JoseErrors."""

Keys = Mapping[str | None, Key]
"""Public keys of a provider by their ids; None is the id of a key that has none."""


T = TypeVar("T")


class IdTokenError(Exception):
    """An ID token is not valid. The message is for the audit log."""


def _quiet(algorithm: T) -> T:
    """Return an algorithm without its warning: RFC 9864 has newer names for EdDSA, and providers use the old one."""
    quiet: Any = copy.copy(algorithm)
    quiet.security_warning = None
    return quiet


class _Headers(JWSRegistry):
    """The allowed header parameters. Unknown ones are ignored (RFC 7515, section 4)."""

    algorithms = {name: _quiet(JWSRegistry.algorithms[name]) for name in ALGORITHMS}  # noqa: RUF012 - as its base has it
    max_header_length = _HEADER_BYTES_MAX
    max_payload_length = ANSWER_BYTES_MAX
    max_signature_length = _SIGNATURE_BYTES_MAX

    def __init__(self) -> None:
        super().__init__(algorithms=ALGORITHMS, strict_check_header=False)


class _Claims(JWTClaimsRegistry):
    """The required claims of an ID token."""

    def __init__(self, *, issuer: str, client_id: str, nonce: str) -> None:
        super().__init__(
            leeway=CLOCK_SKEW_S,
            iss={"essential": True, "value": issuer},
            sub={"essential": True},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True},
        )
        self._client_id = client_id
        self._nonce = nonce

    def validate(self, claims: dict[str, Any]) -> None:
        """Check all claims. A token for several audiences names us as the authorized party, and none names another."""
        super().validate(claims)
        audiences: object = claims["aud"]
        has_several = isinstance(audiences, list) and len(cast("list[object]", audiences)) > 1
        if ("azp" in claims or has_several) and claims.get("azp") != self._client_id:
            raise InvalidClaimError("azp")

    def validate_nonce(self, value: object) -> None:
        """Check that the token answers the login that asked for it."""
        if value != self._nonce:
            raise InvalidClaimError("nonce")

    def validate_sub(self, value: object) -> None:
        """Check that the subject is a text of 1 to 255 characters (Core 1.0, section 2)."""
        super().validate_sub(value)
        if len(str(value)) > SUBJECT_CHARS_MAX:
            raise InvalidClaimError("sub")


_HEADERS: Final = _Headers()


def read_keys(entries: Iterable[object]) -> dict[str | None, Key]:
    """Return the public keys of a key set that may sign ID tokens. Leaves out all others, and malformed ones."""
    keys: dict[str | None, Key] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        parts = cast("dict[str, Any]", entry)
        if parts.get("use", "sig") != "sig" or parts.get("kty") == "oct":
            continue
        try:
            key = JWKRegistry.import_key({name: value for name, value in parts.items() if name not in _PRIVATE})
            keys[key.kid] = key
        except _MALFORMED:
            continue
    return keys


def key_id(token: str) -> str | None:
    """Return the id of the key that a token names; None if it names none.

    Raises:
        IdTokenError: for an invalid token, or an algorithm that is not among ALGORITHMS.
    """
    try:
        header = jws.extract_compact(token.encode(), registry=_HEADERS).headers()
        _HEADERS.check_header(header)
        _HEADERS.get_alg(header["alg"])
    except _MALFORMED as error:
        raise _error(error) from error
    return cast("str | None", header.get("kid"))


def check(token: str, key: Key, *, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """Verify the signature of an ID token, check its claims, and return them.

    Args:
        token: the token.
        key: the key that it names.
        issuer: the provider that it must come from.
        client_id: the client that it must be for.
        nonce: what the login sent along.

    Raises:
        IdTokenError: if the signature, or any claim, is not as it must be.
    """
    try:
        claims = jwt.decode(token, key, registry=_HEADERS).claims
        _Claims(issuer=issuer, client_id=client_id, nonce=nonce).validate(claims)
    except _MALFORMED as error:
        raise _error(error) from error
    return claims


def _error(error: Exception) -> IdTokenError:
    text = "".join(c if c.isprintable() else "?" for c in str(error))[:_REASON_CHARS_MAX]
    return IdTokenError(f"ID token: {text}")
