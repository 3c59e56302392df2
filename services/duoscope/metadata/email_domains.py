"""E-mail domains that organizations claim, and which of the claims are proven."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, LiteralString, TypeAlias
from uuid import UUID

from duoscope.metadata.listing import Listing
from duoscope.stores.postgres import Record, Transaction

Proof: TypeAlias = Literal["dns", "operator", "migration"]


@dataclass(frozen=True, slots=True)
class EmailDomain:
    """A row of `email_domains`. `token` is the text of the DNS record, and not secret once it is published."""

    organization_id: UUID
    email_domain_id: UUID
    domain: str
    token: str = field(repr=False)
    verified_at: datetime | None
    verified_by: str | None
    created_at: datetime
    updated_at: datetime


_COLUMNS: Final[LiteralString] = (
    "organization_id, email_domain_id, domain, token, verified_at, verified_by, created_at, updated_at"
)
LISTING: Final = Listing(
    name="email_domains",
    select=f"SELECT {_COLUMNS} FROM email_domains",
    key="email_domain_id",
    sorts={"domain": str, "created_at": datetime},
    filters={"domain": "strpos(domain, lower(?)) > 0", "verified": "(verified_at IS NOT NULL) = ?"},
)


def from_row(row: Record) -> EmailDomain:
    """Build an EmailDomain from a row of the listing or of the table."""
    return EmailDomain(**dict(row))


async def get(tx: Transaction, email_domain_id: UUID) -> EmailDomain | None:
    """The claim, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM email_domains WHERE email_domain_id = $1", email_domain_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, email_domain_id: UUID) -> EmailDomain | None:
    """Like `get`, locked for a change."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM email_domains WHERE email_domain_id = $1 FOR UPDATE", email_domain_id
    )
    return from_row(row) if row else None


async def lock_claim(tx: Transaction, organization_id: UUID, domain: str) -> EmailDomain | None:
    """The organization's claim of a domain, locked for a change."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM email_domains WHERE organization_id = $1 AND domain = $2 FOR UPDATE",
        *(organization_id, domain),
    )
    return from_row(row) if row else None


async def lock_proven(tx: Transaction, domain: str) -> EmailDomain | None:
    """The proven claim of a domain, of any organization, locked for a change. Needs a platform transaction."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM email_domains WHERE domain = $1 AND verified_at IS NOT NULL FOR UPDATE", domain
    )
    return from_row(row) if row else None


async def count(tx: Transaction, organization_id: UUID) -> int:
    """How many domains the organization claims."""
    return await tx.fetchval("SELECT count(*) FROM email_domains WHERE organization_id = $1", organization_id)


async def create(
    tx: Transaction, *, organization_id: UUID, email_domain_id: UUID, domain: str, token: str
) -> EmailDomain:
    """Store a claim that nothing proves yet. Raises UniqueViolationError if the organization has claimed it before."""
    row = await tx.fetchrow(
        "INSERT INTO email_domains (organization_id, email_domain_id, domain, token) VALUES ($1, $2, $3, $4) "
        f"RETURNING {_COLUMNS}",
        *(organization_id, email_domain_id, domain, token),
    )
    assert row is not None
    return from_row(row)


async def set_proof(tx: Transaction, claim: EmailDomain, proof: Proof | None) -> EmailDomain:
    """Set the proof of a claim, or remove it with None. Raises UniqueViolationError if another organization has proven
    the domain.
    """
    row = await tx.fetchrow(
        "UPDATE email_domains SET verified_by = $3, verified_at = CASE WHEN $3::text IS NULL THEN NULL ELSE now() END "
        f"WHERE organization_id = $1 AND email_domain_id = $2 RETURNING {_COLUMNS}",
        *(claim.organization_id, claim.email_domain_id, proof),
    )
    assert row is not None
    return from_row(row)


async def delete(tx: Transaction, claim: EmailDomain) -> None:
    """Delete the claim and its proof."""
    await tx.execute(
        "DELETE FROM email_domains WHERE organization_id = $1 AND email_domain_id = $2",
        *(claim.organization_id, claim.email_domain_id),
    )


async def is_proven(tx: Transaction, organization_id: UUID, domain: str) -> bool:
    """Whether the organization has proven that it owns the domain."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM email_domains WHERE organization_id = $1 AND domain = $2 "
            "AND verified_at IS NOT NULL)",
            *(organization_id, domain),
        )
    )
