"""E-mail domains of organizations: claimed by their admins, proven by a DNS record or by an operator.

An identity provider vouches for addresses of proven domains only. Claims prove nothing, so anyone may make them; a
proof belongs to one organization. DNS is queried only on request.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS, Authority
from duoscope.identity.directory.organizations import organization_of_code
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, not_found, require_found
from duoscope.kernel.ids import new_id
from duoscope.kernel.limits import DNS_QUERIES_MAX, EMAIL_DOMAINS_OF_ORGANIZATION_MAX
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import email_domains, organizations
from duoscope.metadata.conflicts import taken
from duoscope.metadata.email_domains import EmailDomain
from duoscope.net.dns import ANSWER_S_MAX, TxtAnswer, TxtRecords
from duoscope.stores.postgres import MetadataStore, Transaction, UniqueViolationError

_OPERATOR: Final = PlatformScope(reason="an operator's command")
_DOMAIN: Final = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_ASIDE: Final = "_duoscope-verification"


def is_domain(text: str) -> bool:
    """Whether a text is a valid domain of addresses: lower case, in the ASCII form of IDNA."""
    return _DOMAIN.fullmatch(text) is not None


def record_name(domain: str) -> str:
    """The name under which to publish the TXT record."""
    return f"{_ASIDE}.{domain}"


def record_text(claim: EmailDomain) -> str:
    """The text of the TXT record."""
    return f"duoscope-verification={claim.token}"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification: the claim as it is now, the records that were found, and the problem if there was
    no answer.
    """

    claim: EmailDomain
    found: tuple[str, ...]
    problem: str | None


class EmailDomains:
    """Manages an organization's claims."""

    def __init__(self, store: MetadataStore, records: TxtRecords) -> None:
        self._store = store
        self._records = records
        self._asking: set[UUID] = set()

    async def claim(self, authority: Authority, domain: str) -> EmailDomain:
        """Claim a domain, which proves nothing yet.

        Raises:
            DuoscopeError: INVALID; FORBIDDEN `beyond-own-permissions`; CONFLICT `email-domain-exists`,
                `organization-limit-reached`.
        """
        authority.require_held(ROLE_PERMISSIONS, None)
        domain = _checked(domain)
        async with self._store.open(authority.scope, "email_domains.claim") as tx:
            await _require_room(tx, authority.organization_id)
            with taken("email-domain", "name in your organization"):
                claim = await _create(tx, authority.organization_id, domain)
            await audit.record(tx, authority.actor, "email-domain.created", claim, after=_fields(claim))
        return claim

    async def verify(self, authority: Authority, email_domain_id: UUID) -> Verification:
        """Query DNS for the record. A proven claim stays proven whatever is found.

        Raises:
            DuoscopeError: NOT_FOUND; FORBIDDEN `beyond-own-permissions`; CONFLICT `email-domain-taken`; RATE_LIMITED
                `dns-query-running` while the organization waits for another answer, or many do.
        """
        authority.require_held(ROLE_PERMISSIONS, None)
        async with self._store.open(authority.scope, "email_domains.verify") as tx:
            claim = await email_domains.get(tx, email_domain_id)
        claim = require_found(claim, "e-mail domain")
        answer = await self._ask(claim)
        if claim.verified_at is not None or record_text(claim) not in answer.texts:
            return Verification(claim, answer.texts, answer.problem)
        async with self._store.open(authority.scope, "email_domains.prove") as tx:
            before = await email_domains.lock(tx, email_domain_id)
            if before is None or before.token != claim.token:
                raise not_found("e-mail domain")
            if before.verified_at is not None:
                return Verification(before, answer.texts, None)
            try:
                after = await email_domains.set_proof(tx, before, "dns")
            except UniqueViolationError as error:
                raise DuoscopeError(
                    ErrorKind.CONFLICT,
                    "email-domain-taken",
                    f"The record is correct, but another organization has proven {claim.domain}. Have that one "
                    "give it up, or ask those who run this instance.",
                ) from error
            await _record_proof(tx, authority.actor, before, after)
        return Verification(after, answer.texts, None)

    async def delete(self, authority: Authority, email_domain_id: UUID) -> None:
        """Give the domain up: no user is linked or created by its addresses any more. Raises NOT_FOUND."""
        async with self._store.open(authority.scope, "email_domains.delete") as tx:
            claim = require_found(await email_domains.lock(tx, email_domain_id), "e-mail domain")
            await email_domains.delete(tx, claim)
            await audit.record(tx, authority.actor, "email-domain.deleted", claim, before=_fields(claim))

    async def _ask(self, claim: EmailDomain) -> TxtAnswer:
        if claim.organization_id in self._asking or len(self._asking) >= DNS_QUERIES_MAX:
            raise DuoscopeError(
                ErrorKind.RATE_LIMITED,
                "dns-query-running",
                "A DNS query for another domain is running; wait for the seconds in Retry-After.",
                retry_after_s=ANSWER_S_MAX,
            )
        self._asking.add(claim.organization_id)
        try:
            return await self._records.find(record_name(claim.domain))
        finally:
            self._asking.discard(claim.organization_id)


async def verify_by_operator(
    store: MetadataStore, actor: Actor, *, organization: str, domain: str, takes_over: bool = False
) -> EmailDomain:
    """Accept an operator's word that the domain belongs to the organization (by code), claimed or not.

    Args:
        store: of all.
        actor: the operator.
        organization: its code.
        domain: such as example.com.
        takes_over: whether another organization's proof is removed.

    Raises:
        DuoscopeError: INVALID; NOT_FOUND for the organization; CONFLICT `email-domain-taken`.
    """
    domain = _checked(domain)
    async with store.open_platform(_OPERATOR, "email_domains.verify_by_operator") as tx:
        owner = await organization_of_code(tx, organization)
        await organizations.serialise_makings(tx, owner.organization_id)
        other = await email_domains.lock_proven(tx, domain)
        if other is not None and other.organization_id == owner.organization_id:
            return other
        if other is not None:
            if not takes_over:
                raise DuoscopeError(
                    ErrorKind.CONFLICT,
                    "email-domain-taken",
                    f"{domain} is proven to be of the organization {other.organization_id}. --take-over ends that.",
                )
            await _record_proof(tx, actor, other, await email_domains.set_proof(tx, other, None))
        claim = await email_domains.lock_claim(tx, owner.organization_id, domain)
        if claim is None:
            claim = await _create(tx, owner.organization_id, domain)
            await audit.record(tx, actor, "email-domain.created", claim, after=_fields(claim))
        after = await email_domains.set_proof(tx, claim, "operator")
        await _record_proof(tx, actor, claim, after)
        return after


def _checked(domain: str) -> str:
    lowered = domain.lower()
    if not is_domain(lowered):
        raise invalid(f"domain: {domain[:100]!r} is no domain such as example.com.")
    return lowered


async def _create(tx: Transaction, organization_id: UUID, domain: str) -> EmailDomain:
    return await email_domains.create(
        tx, organization_id=organization_id, email_domain_id=new_id(), domain=domain, token=secrets.token_urlsafe(24)
    )


async def _require_room(tx: Transaction, organization_id: UUID) -> None:
    await organizations.serialise_makings(tx, organization_id)
    if await email_domains.count(tx, organization_id) >= EMAIL_DOMAINS_OF_ORGANIZATION_MAX:
        raise DuoscopeError(
            ErrorKind.CONFLICT,
            "organization-limit-reached",
            f"The organization may claim {EMAIL_DOMAINS_OF_ORGANIZATION_MAX} e-mail domains. Remove some.",
        )


def _fields(claim: EmailDomain) -> dict[str, Any]:
    return {name: value for name, value in audit.audited_fields(claim).items() if name != "token"}


async def _record_proof(tx: Transaction, actor: Actor, before: EmailDomain, after: EmailDomain) -> None:
    action = "verified" if after.verified_at is not None else "taken-over"
    await audit.changed(tx, actor, before, after, None, {"domain": after.domain}, action=action)
