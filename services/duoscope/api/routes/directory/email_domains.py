"""E-mail domains of an organization, for whose addresses its identity providers may vouch."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from duoscope.api import listing
from duoscope.api.bodies import Services
from duoscope.api.listing import OrganizationParameter, PagingDependency
from duoscope.api.routing import READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.oidc.email_domains import record_name, record_text
from duoscope.kernel.errors import require_found
from duoscope.metadata import email_domains
from duoscope.stores.postgres import Record

ROUTES: Final = Routes("email-domains")

DomainFilter = Annotated[str | None, QueryParameter(description="Part of the domain, ignoring case.", max_length=253)]
VerifiedFilter = Annotated[bool | None, QueryParameter(description="Whether to list proven or unproven ones.")]


class EmailDomain(Struct, frozen=True):
    """A domain that an organization claims, and the record that proves it."""

    organization_id: UUID
    email_domain_id: UUID
    domain: Annotated[str, Meta(examples=["example.com"])]
    record_name: Annotated[
        str,
        Meta(
            description="Name under which to publish a TXT record that proves it.",
            examples=["_duoscope-verification.example.com"],
        ),
    ]
    record_text: Annotated[
        str,
        Meta(description="Text of the record.", examples=["duoscope-verification=3fQ2vY0cX1n7m5kq9sW8rT4uJ6hB2dLa"]),
    ]
    is_verified: Annotated[bool, Meta(description="Whether it is proven. Only proven domains count.")]
    verified_at: datetime | None
    verified_by: Annotated[
        str | None,
        Meta(
            description="`dns`: the record; `operator`: a command; `migration`: no other organization named it before "
            "proofs were asked for."
        ),
    ]
    created_at: datetime
    updated_at: datetime


class EmailDomainVerification(Struct, frozen=True):
    """The answer of DNS, and its result."""

    email_domain: EmailDomain
    found: Annotated[list[str], Meta(description="Texts of the TXT records at `record_name`, up to 20.")]
    problem: Annotated[str | None, Meta(description="Why DNS gave no answer; null if it did.")]


class EmailDomainPage(Struct, frozen=True):
    """One page of e-mail domains, and the cursor of the next page."""

    items: list[EmailDomain]
    next_cursor: str | None


class NewEmailDomain(Struct, forbid_unknown_fields=True):
    """A domain to be claimed."""

    domain: Annotated[
        str,
        Meta(
            max_length=253,
            description="The part of addresses after the @; internationalized ones in their ASCII form (xn--…).",
            examples=["example.com"],
        ),
    ]


@ROUTES.post("/api/v1/email-domains", "Claim an e-mail domain", "identity-provider:write", problems=WRITES)
async def create_email_domain(
    request: Request[Principal, Any, Any],
    data: JSONBody[NewEmailDomain],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> EmailDomain:
    """Claim a domain. It counts once it is proven. As for identity providers, you must hold everything
    organization-wide.
    """
    authority = request.user.over_organization("identity-provider:write", organization_id)
    return _shown(await services.email_domains.claim(authority, data.domain))


@ROUTES.get("/api/v1/email-domains", "List e-mail domains", "identity-provider:read", problems=READS)
async def list_email_domains(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    domain: DomainFilter = None,
    verified: VerifiedFilter = None,
    organization_id: OrganizationParameter = None,
) -> EmailDomainPage:
    """List the domains that the organization claims, proven or not. Sorts: domain, created_at."""
    authority = request.user.over_organization("identity-provider:read", organization_id)
    filters = {"domain": domain, "verified": verified}
    async with services.metadata.open(authority.scope, "email_domains.list") as tx:
        return EmailDomainPage(
            *await listing.page(tx, email_domains.LISTING, paging, filters, answer=EmailDomain, read=_read)
        )


@ROUTES.get(
    "/api/v1/email-domains/{email_domain_id:uuid}", "Read an e-mail domain", "identity-provider:read", problems=READS
)
async def get_email_domain(
    request: Request[Principal, Any, Any],
    email_domain_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> EmailDomain:
    """One claim, with the record that proves it."""
    authority = request.user.over_organization("identity-provider:read", organization_id)
    async with services.metadata.open(authority.scope, "email_domains.get") as tx:
        found = await email_domains.get(tx, email_domain_id)
    found = require_found(found, "e-mail domain")
    return _shown(found)


@ROUTES.post(
    "/api/v1/email-domains/{email_domain_id:uuid}/verify",
    "Prove an e-mail domain",
    "identity-provider:write",
    problems=(*WRITES, 429),
    status_code=200,
)
async def verify_email_domain(
    request: Request[Principal, Any, Any],
    email_domain_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> EmailDomainVerification:
    """Query DNS once for the TXT record, and report what was found.

    DNS is queried at no other time: a proven domain stays proven until it is deleted here, whatever happens to the
    record.
    """
    authority = request.user.over_organization("identity-provider:write", organization_id)
    came = await services.email_domains.verify(authority, email_domain_id)
    return EmailDomainVerification(_shown(came.claim), list(came.found), came.problem)


@ROUTES.delete(
    "/api/v1/email-domains/{email_domain_id:uuid}",
    "Give up an e-mail domain",
    "identity-provider:delete",
    problems=READS,
)
async def delete_email_domain(
    request: Request[Principal, Any, Any],
    email_domain_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """Give a domain up: no user is linked or created by its addresses any more; users already linked can still log
    in.
    """
    authority = request.user.over_organization("identity-provider:delete", organization_id)
    await services.email_domains.delete(authority, email_domain_id)


def _shown(claim: email_domains.EmailDomain) -> EmailDomain:
    return EmailDomain(
        claim.organization_id,
        claim.email_domain_id,
        claim.domain,
        record_name(claim.domain),
        record_text(claim),
        claim.verified_at is not None,
        claim.verified_at,
        claim.verified_by,
        claim.created_at,
        claim.updated_at,
    )


def _read(row: Record) -> EmailDomain:
    return _shown(email_domains.from_row(row))
