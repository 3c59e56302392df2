"""The rotation of refresh tokens.

A refresh token is used once. Its successor is derived from it, so a client that lost the answer gets the same one again
for REISSUE_WINDOW_S. If a token is used later, or after its successor, it was stolen, and the whole session ends.
"""

import base64
import hashlib
import hmac
from typing import Final
from uuid import UUID

from duoscope.metadata import refresh_tokens
from duoscope.metadata.permissions import Grant
from duoscope.metadata.refresh_tokens import RefreshToken
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import Transaction

REFRESH_LIFETIME_S: Final = 7 * 24 * 3600
"""A session ends when it is not used for this long."""
REISSUE_WINDOW_S: Final = 10.0


class RefreshTokenRotation:
    """Derives the successors of refresh tokens."""

    def __init__(self, keys: SecretKeys) -> None:
        self._keys = keys.derive("refresh-token-successor")

    async def successor(
        self, tx: Transaction, token: RefreshToken, presented: str, *, grant: Grant, left_s: float
    ) -> str | None:
        """Derive and store the next token; the same again within the window. Returns None if the session has to end.

        Args:
            tx: has locked `token`.
            token: the row of the presented token, neither revoked nor expired.
            presented: the token itself.
            grant: the tenant of the session.
            left_s: how long the session may last.
        """
        if token.rotated_s_ago is None:
            successor = _derive(self._keys[0], presented)
            await refresh_tokens.mark_rotated(tx, token)
            lifetime_s = min(REFRESH_LIFETIME_S, left_s)
            await store_token(
                tx, grant, user_id=token.user_id, session_id=token.family_id, token=successor, lifetime_s=lifetime_s
            )
            return successor
        if token.rotated_s_ago > REISSUE_WINDOW_S:
            return None
        for key in self._keys:  # a change of secrets may lie between
            successor = _derive(key, presented)
            issued = await refresh_tokens.lock(tx, hashed(successor))
            if issued is not None:
                return successor if issued.rotated_s_ago is None and not issued.is_revoked else None
        return None


async def store_token(
    tx: Transaction,
    grant: Grant,
    *,
    user_id: UUID,
    session_id: UUID,
    token: str,
    lifetime_s: float = REFRESH_LIFETIME_S,
) -> None:
    """Store a token's hash."""
    await refresh_tokens.create(
        tx,
        organization_id=grant.organization_id,
        workspace_id=grant.workspace_id,
        tenant_id=grant.tenant_id,
        user_id=user_id,
        family_id=session_id,
        token_hash=hashed(token),
        lifetime_s=lifetime_s,
    )


def hashed(token: str) -> str:
    """The stored form of a token of 256 random bits: SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def _derive(key: bytes, presented: str) -> str:
    digest = hmac.digest(key, presented.encode(), "sha256")
    return "tfr-" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
