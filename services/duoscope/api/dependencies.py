"""The objects that the API works with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import REGISTRY, CollectorRegistry

from duoscope.alerting.named import NamedExpressions
from duoscope.dashboards.flights import Answers
from duoscope.dashboards.sharing import Links
from duoscope.dashboards.views import Views
from duoscope.delivery.mail import Mailer
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.authentication.access import Access
from duoscope.identity.authentication.access_tokens import AccessTokens
from duoscope.identity.authentication.mfa import SecondFactors
from duoscope.identity.authentication.recovery import Recovery
from duoscope.identity.authentication.sessions import Sessions
from duoscope.identity.authentication.signing_keys import SigningKeys
from duoscope.identity.directory.invitations import Invitations
from duoscope.identity.directory.organization_limits import Quota
from duoscope.identity.oidc.email_domains import EmailDomains
from duoscope.identity.oidc.identity_providers import IdentityProviders
from duoscope.identity.oidc.login import OidcLogins
from duoscope.identity.passwords.breached_passwords import BreachedPasswords
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.identity.passwords.rules import PasswordRules
from duoscope.kernel.organization_limits import OrganizationLimits
from duoscope.kernel.settings import Settings
from duoscope.net.dns import TxtRecords, parse_servers
from duoscope.net.outbound import Outbound
from duoscope.notification.management import ChannelManagement
from duoscope.secrets.box import SecretBox
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.clickhouse import TelemetryStore
from duoscope.stores.postgres import MetadataStore

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ApiServices:
    """The parts of the process that routes use.

    Attributes:
        metadata, telemetry: the stores.
        sessions, tokens, access: for logging in, for authentication, and for permissions.
        signing_keys: the keys of the tokens; the process lets them watch for changes.
        second_factors: multi-factor authentication.
        identity_providers, oidc: managing an organization's OpenID providers, and logging in through them.
        email_domains: the e-mail domains of organizations.
        channels: notification channels.
        links: by which strangers see dashboards.
        views: of dashboards, which are counted.
        named: named expressions of PromQL, which readers of telemetry know.
        outbound: sends requests to configured addresses.
        breached: recognizes breached passwords.
        api_keys: for machines that read telemetry.
        hasher: for users' passwords.
        recovery: for forgotten and changed passwords, and verified addresses.
        invitations: for inviting users.
        settings: of the process.
        public_url: the API's address as users reach it.
        registry: the process's own metrics, shown at /metrics.
        readiness: further checks for /health/ready by the part's name; a check raises DuoscopeError unless it is ready.
        stopping: when it is set, streams end, so that the process can.
        answers: what was asked for dashboards.
    """

    metadata: MetadataStore
    telemetry: TelemetryStore
    sessions: Sessions
    tokens: AccessTokens
    signing_keys: SigningKeys
    second_factors: SecondFactors
    identity_providers: IdentityProviders
    email_domains: EmailDomains
    oidc: OidcLogins
    channels: ChannelManagement
    links: Links
    views: Views
    outbound: Outbound
    breached: BreachedPasswords
    access: Access
    api_keys: ApiKeyVerifier
    hasher: SlowHasher
    recovery: Recovery
    invitations: Invitations
    quota: Quota
    named: NamedExpressions
    settings: Settings
    public_url: str
    registry: CollectorRegistry = REGISTRY
    readiness: Mapping[str, Check] = field(default_factory=dict[str, Check])
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    answers: Answers = field(default_factory=Answers)

    async def close(self) -> None:
        """Close connections to others; the caller closes the stores and the hasher."""
        await self.answers.close()
        await self.views.close()
        await self.outbound.close()
        await self.breached.close()


async def assemble(
    metadata: MetadataStore,
    telemetry: TelemetryStore,
    *,
    settings: Settings,
    keys: SecretKeys,
    hasher: SlowHasher,
    public_url: str,
    stopping: asyncio.Event,
    api_keys: ApiKeyVerifier | None = None,
) -> ApiServices:
    """Create everything that the API works with, in one place for the process and for tests.

    Args:
        metadata: the store of users and settings.
        telemetry: the store of telemetry.
        settings: of the process.
        keys: the instance's secret.
        hasher: for users' passwords; the caller closes it.
        public_url: the API's address as users reach it, for links.
        stopping: see `ApiServices`.
        api_keys: the process's verifier of API keys; by default the API gets its own.
    """
    mailer = Mailer(settings, keys)
    box = SecretBox(metadata, keys)
    await box.prepare()
    signing_keys = SigningKeys(metadata, box)
    await signing_keys.load()
    tokens = AccessTokens(signing_keys)
    second_factors = SecondFactors(metadata, box, hasher, keys, mailer=mailer)
    sessions = Sessions(metadata, hasher, tokens, keys, mailer=mailer, second_factor=second_factors)
    outbound = Outbound(settings.outbound_networks)
    breached = BreachedPasswords(settings.breached_passwords_url)
    rules = PasswordRules(breached)
    quota = Quota(OrganizationLimits.parse(settings.organization_limits))
    return ApiServices(
        named=NamedExpressions(metadata),
        metadata=metadata,
        telemetry=telemetry,
        sessions=sessions,
        tokens=tokens,
        signing_keys=signing_keys,
        second_factors=second_factors,
        identity_providers=IdentityProviders(metadata, box, allows_http=bool(settings.outbound_networks), quota=quota),
        email_domains=EmailDomains(metadata, TxtRecords(parse_servers(settings.dns_servers))),
        oidc=OidcLogins(metadata, box, keys, hasher, sessions, outbound=outbound, public_url=public_url, quota=quota),
        channels=ChannelManagement(metadata, box, outbound, mailer, public_url=public_url),
        links=Links(metadata),
        views=Views(metadata),
        outbound=outbound,
        breached=breached,
        access=Access(metadata),
        api_keys=api_keys or ApiKeyVerifier(metadata, hasher, keys),
        hasher=hasher,
        recovery=Recovery(metadata, hasher, mailer, keys, public_url=public_url, rules=rules),
        invitations=Invitations(metadata, mailer, hasher, public_url=public_url, rules=rules, quota=quota),
        quota=quota,
        settings=settings,
        public_url=public_url,
        stopping=stopping,
    )
