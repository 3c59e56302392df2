"""Leases of receivers on requests. All functions need a platform transaction: a batch has requests of many tenants.

A key is a hash over tenant and bytes, and reveals nothing about either.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from duoscope.stores.postgres import Transaction


async def take(tx: Transaction, receiver_id: UUID, keys: Sequence[UUID], *, lease_s: float) -> dict[UUID, Any]:
    """Claim the requests that no other receiver has. Returns the others' claims, with the answer that their senders
    got, or None.

    Keys are locked in one order, so that two receivers never wait for each other.
    """
    rows = await tx.fetch(
        """
        INSERT INTO ingest_claims AS c (claim_key, receiver_id, expires_at)
        SELECT key, $2, now() + make_interval(secs => $3) FROM unnest($1::uuid[]) AS key ORDER BY key
        ON CONFLICT (claim_key) DO UPDATE
        SET receiver_id = excluded.receiver_id, expires_at = excluded.expires_at, outcome = NULL
        WHERE c.receiver_id = excluded.receiver_id OR c.expires_at < now()
        RETURNING claim_key
        """,
        sorted(keys),
        receiver_id,
        lease_s,
    )
    others = set(keys) - {row["claim_key"] for row in rows}
    if not others:
        return {}
    told = await tx.fetch(
        "SELECT claim_key, outcome FROM ingest_claims WHERE claim_key = ANY ($1::uuid[])", list(others)
    )
    outcomes = {row["claim_key"]: row["outcome"] and json.loads(row["outcome"]) for row in told}
    return {key: outcomes.get(key) for key in others}


async def hold(tx: Transaction, receiver_id: UUID, outcomes: Mapping[UUID, Any], *, for_s: float) -> None:
    """Store the answers that senders of claimed requests got, and extend the claims."""
    await tx.execute(
        """
        UPDATE ingest_claims c SET expires_at = now() + make_interval(secs => $4), outcome = told.outcome
        FROM unnest($2::uuid[], $3::jsonb[]) AS told (claim_key, outcome)
        WHERE c.claim_key = told.claim_key AND c.receiver_id = $1
        """,
        receiver_id,
        list(outcomes),
        [json.dumps(outcome) for outcome in outcomes.values()],
        for_s,
    )


async def release(tx: Transaction, receiver_id: UUID, keys: Sequence[UUID]) -> None:
    """Give up the claims on requests that were refused in the end."""
    await tx.execute(
        "DELETE FROM ingest_claims WHERE receiver_id = $1 AND claim_key = ANY ($2::uuid[])", receiver_id, list(keys)
    )


async def forget_expired(tx: Transaction) -> None:
    """Remove expired claims."""
    await tx.execute("DELETE FROM ingest_claims WHERE expires_at < now() - interval '1 minute'")
