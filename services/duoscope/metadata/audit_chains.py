"""The chains of the audit log: their heads, how far they are shipped to ClickHouse, their entries in order.

Everything here works across organizations and needs a platform transaction.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from duoscope.stores.postgres import Transaction

FIRST_PREVIOUS_HASH: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Chain:
    """The head of a chain: its last entry, and the last entry that ClickHouse has."""

    organization_id: UUID
    sequence: int
    hash: str
    shipped_sequence: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A complete row of `audit_logs`."""

    organization_id: UUID
    sequence: int
    audit_log_id: UUID
    workspace_id: UUID | None
    tenant_id: UUID | None
    recorded_at: datetime
    actor_kind: str
    user_id: UUID | None
    email: str
    ip_address: str | None
    user_agent: str | None
    request_id: UUID
    action: str
    resource_type: str
    resource_id: str
    result: str
    content: str
    previous_hash: str
    hash: str

    @property
    def right_hash(self) -> str:
        """The correct value of `hash`, given the rest of the row."""
        return chained_hash(self.organization_id, self.sequence, self.previous_hash, self.content)


def chained_hash(organization_id: UUID, sequence: int, previous_hash: str, content: str) -> str:
    """SHA-256 of `organization_id:sequence:previous_hash:content`, as the trigger of migration 0005 computes it."""
    return hashlib.sha256(f"{organization_id}:{sequence}:{previous_hash}:{content}".encode()).hexdigest()


async def list_all(tx: Transaction) -> list[Chain]:
    """Every chain."""
    rows = await tx.fetch("SELECT organization_id, sequence, hash, shipped_sequence FROM audit_chains ORDER BY 1")
    return [Chain(**dict(row)) for row in rows]


async def entries(tx: Transaction, organization_id: UUID, *, after: int, up_to: int, limit: int) -> list[Entry]:
    """The next entries of a chain after the number `after`, in order."""
    rows = await tx.fetch(
        "SELECT * FROM audit_logs WHERE organization_id = $1 AND sequence > $2 AND sequence <= $3 "
        "ORDER BY sequence LIMIT $4",
        *(organization_id, after, up_to, limit),
    )
    return [Entry(**dict(row)) for row in rows]


async def list_unshipped(tx: Transaction) -> Sequence[UUID]:
    """The organizations whose chains have entries that ClickHouse may not have."""
    rows = await tx.fetch("SELECT organization_id FROM audit_chains WHERE shipped_sequence < sequence ORDER BY 1")
    return [row["organization_id"] for row in rows]


async def begin_shipping(tx: Transaction, organization_id: UUID, *, entries_max: int) -> tuple[int, int, bool] | None:
    """The part of a chain to ship next: the last number shipped, the last one to ship, and whether it was begun before.

    A part that was begun and not finished is returned again exactly as it was. None when there is nothing to ship.
    """
    row = await tx.fetchrow(
        "SELECT sequence, shipped_sequence, shipping_sequence FROM audit_chains WHERE organization_id = $1 FOR UPDATE",
        organization_id,
    )
    if row is None or row["shipped_sequence"] >= row["sequence"]:
        return None
    shipped, shipping = row["shipped_sequence"], row["shipping_sequence"]
    if shipping > shipped:
        return shipped, shipping, True
    shipping = min(row["sequence"], shipped + entries_max)
    await tx.execute(
        "UPDATE audit_chains SET shipping_sequence = $2 WHERE organization_id = $1", *(organization_id, shipping)
    )
    return shipped, shipping, False


async def finish_shipping(tx: Transaction, organization_id: UUID, sequence: int) -> None:
    """Record that ClickHouse has everything up to `sequence`."""
    await tx.execute(
        "UPDATE audit_chains SET shipped_sequence = $2 "
        "WHERE organization_id = $1 AND shipping_sequence = $2 AND shipped_sequence < $2",
        *(organization_id, sequence),
    )
